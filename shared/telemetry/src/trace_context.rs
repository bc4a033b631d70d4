//! The parent span of an invocation.

use lambda_http::http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The caller's span in `traceparent`: <https://www.w3.org/TR/trace-context/>.
pub(super) fn parent(headers: &HeaderMap) -> Option<Context> {
    let extractor = HeaderExtractor(headers);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &extractor);
    context.has_active_span().then_some(context)
}

/// The X-Ray span from Lambda, `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`, if X-Ray
/// samples the trace: otherwise our spans would be dropped too.
pub(super) fn amazon_parent(header: Option<&str>) -> Context {
    header
        .and_then(amazon_span)
        .map_or_else(Context::new, |span| {
            Context::new().with_remote_span_context(span)
        })
}

fn amazon_span(header: &str) -> Option<SpanContext> {
    let field = |name: &str| {
        let mut fields = header
            .split(';')
            .filter_map(|field| field.trim().split_once('='));
        fields.find_map(|(field, value)| (field == name).then_some(value))
    };
    if field("Sampled") != Some("1") {
        return None;
    }
    let trace = field("Root")?.strip_prefix("1-")?.replacen('-', "", 1);
    let trace = TraceId::from_hex(&trace).ok()?;
    let span = SpanId::from_hex(field("Parent")?).ok()?;
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sampled_trace_of_x_ray_is_continued() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let span = amazon_span(header).expect("it names a span");
        assert_eq!(
            span.trace_id().to_string(),
            "5759e988bd862e3fe1be46a994272793"
        );
        assert_eq!(span.span_id().to_string(), "53995c3f42cd8ad8");
        assert!(span.is_sampled() && span.is_remote());
        for odd in [
            "",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "Root=7;Parent=53995c3f42cd8ad8;Sampled=1",
        ] {
            assert_eq!(amazon_span(odd), None, "{odd}");
        }
    }
}
