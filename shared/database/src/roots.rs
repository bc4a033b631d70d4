//! Bundled certificate authorities that hosts use but public root stores lack.

/// The certificate authorities of Amazon RDS and Aurora, in PEM; the file names their source.
pub(super) const AMAZON_RDS: &[u8] = include_bytes!("roots/amazon-rds.pem");

/// Whether `host` is one of Amazon RDS or Aurora.
pub(super) fn is_amazon_rds(host: &str) -> bool {
    host.to_ascii_lowercase().ends_with(".rds.amazonaws.com")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::SystemTime};

    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::{AMAZON_RDS, is_amazon_rds};

    #[test]
    fn the_authorities_of_amazon_rds_are_not_expired() {
        let today = SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("it is later than 1970");
        // Seconds of an average year.
        let this_year = 1970 + today.as_secs() / 31_556_952;
        let mut authorities = BTreeSet::new();
        let text = str::from_utf8(AMAZON_RDS).expect("PEM is text");
        for part in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
            let (base64, _) = part
                .split_once("-----END CERTIFICATE-----")
                .expect("a certificate ends");
            let der = BASE64_STANDARD
                .decode(base64.replace('\n', ""))
                .expect("PEM is base64");
            let (subject, last_year) = subject_and_last_year(&der);
            assert!(subject.contains("Amazon RDS "), "{subject}");
            assert!(last_year > this_year, "{subject} ends in {last_year}");
            authorities.insert(subject);
        }
        // Two RSA key sizes and one ECC in each region.
        assert_eq!(authorities.len(), 27 * 3);
    }

    /// The subject of a certificate, which must equal its issuer, and the year of its expiry.
    fn subject_and_last_year(mut certificate: &[u8]) -> (String, u64) {
        let mut certificate = element(&mut certificate);
        let mut fields = element(&mut certificate);
        let [_version, _serial, _algorithm, issuer, mut validity, subject] =
            [(); 6].map(|()| element(&mut fields));
        assert_eq!(issuer, subject);
        let _first = element(&mut validity);
        // Years from 2050 on have four digits, earlier ones two: RFC 5280, 4.1.2.5.
        let last = str::from_utf8(element(&mut validity)).expect("a time is text");
        let last_year = match last.len() {
            15 => last[..4].to_owned(),
            _ => format!("20{}", &last[..2]),
        };
        (
            String::from_utf8_lossy(subject).into_owned(),
            last_year.parse().expect("a time begins with its year"),
        )
    }

    /// Takes the content of the first DER element off `der`.
    fn element<'a>(der: &mut &'a [u8]) -> &'a [u8] {
        let (header, length) = match der[1] {
            length @ ..0x80 => (2, usize::from(length)),
            more => {
                let header = 2 + usize::from(more & 0x7f);
                let length = der[2..header]
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte));
                (header, length)
            }
        };
        let (content, rest) = der[header..].split_at(length);
        *der = rest;
        content
    }

    #[test]
    fn a_host_of_amazon_rds_is_known_by_its_name() {
        for (host, known) in [
            ("mine.abc123.eu-west-1.rds.amazonaws.com", true),
            ("mine.cluster-abc123.eu-west-1.RDS.amazonaws.com", true),
            ("mine.proxy-abc123.eu-west-1.rds.amazonaws.com", true),
            ("rds.amazonaws.com.example.org", false),
            ("notrds.amazonaws.com", false),
            ("localhost", false),
        ] {
            assert_eq!(is_amazon_rds(host), known, "{host}");
        }
    }
}
