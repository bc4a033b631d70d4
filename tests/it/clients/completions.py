"""Talks with /v1 by OpenAI's SDK and LangChain, and prints one object of JSON: what each of them read.

The base URL is the argument. The clients keep their own limits of time.
"""

import json
import sys

import openai
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import OpenAI

QUESTION = "Quand ferme la plage ?"
url = sys.argv[1]
client = OpenAI(base_url=url, api_key="sk-anything", max_retries=0)
read = {"models": [model.id for model in client.models.list()]}
read["model"] = client.models.retrieve("rappel").id

messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
whole = client.chat.completions.create(model="rappel", messages=messages, temperature=0.2, extra_body={"limit": 1})
choice = whole.choices[0]
read["whole"] = {
    "text": choice.message.content,
    "finish_reason": choice.finish_reason,
    "usage": whole.usage.total_tokens,
    "annotations": [annotation.url_citation.model_dump() for annotation in choice.message.annotations],
    "sources": [source["document_id"] for source in whole.sources],
}

text, reason, usage, sources, annotations = "", None, None, None, []
options = {"include_usage": True}
for chunk in client.chat.completions.create(model="rappel", messages=messages, stream=True, stream_options=options):
    sources = getattr(chunk, "sources", None) or sources
    usage = chunk.usage or usage
    for choice in chunk.choices:
        text += choice.delta.content or ""
        annotations += getattr(choice.delta, "annotations", None) or []
        reason = choice.finish_reason or reason
read["streamed"] = {
    "text": text,
    "finish_reason": reason,
    "usage": usage.total_tokens,
    "annotations": [annotation["url_citation"] for annotation in annotations],
    "sources": [source["document_id"] for source in sources],
}

chat = ChatOpenAI(base_url=url, api_key="sk-anything", model="rappel", max_retries=0)
read["langchain"] = chat.invoke(QUESTION).text
read["langchain_streamed"] = "".join(chunk.text for chunk in chat.stream(QUESTION))

embedder = read["models"][1]
by_sdk = client.embeddings.create(model=embedder, input=["Bonjour", "Le pain cuit."])
embeddings = OpenAIEmbeddings(base_url=url, api_key="sk-anything", model=embedder, check_embedding_ctx_length=False)
read["embeddings"] = {
    "lengths": [len(one.embedding) for one in by_sdk.data],
    "tokens": by_sdk.usage.prompt_tokens,
    "same": max(abs(a - b) for a, b in zip(by_sdk.data[1].embedding, embeddings.embed_documents(["Le pain cuit."])[0])) < 1e-6,
}

errors = {}
for name, ask in {
    "model": lambda: client.chat.completions.create(model="gpt-5", messages=messages),
    "messages": lambda: client.chat.completions.create(model="rappel", messages=[]),
    "stream": lambda: list(client.chat.completions.create(model="rappel", messages=messages, stream=True)),
    "whole": lambda: client.chat.completions.create(model="rappel", messages=messages),
    "tokens": lambda: client.embeddings.create(model=embedder, input=[1, 2, 3]),
}.items():
    try:
        ask()
    except openai.APIError as error:
        errors[name] = [type(error).__name__, error.code, error.param]
read["errors"] = errors
print(json.dumps(read))
