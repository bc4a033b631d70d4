"""Where the time of an embedding goes, and whether two processors give the same embeddings.

    python bench/kernels.py FOLDER                  # milliseconds per kind of node, one thread
    python bench/kernels.py FOLDER --save x86.json  # embeddings of fixed tokens
    python bench/kernels.py FOLDER --compare x86.json

FOLDER has `model.onnx`, as `rappel up` prepares it below RAPPEL_CACHE. Needs the packages onnxruntime and numpy; the
environment of the benchmark's Python service has them.
"""

import argparse
import collections
import json
import os
import tempfile
import time

import numpy
import onnxruntime

LENGTHS = {16: 60, 64: 30, 512: 6}
"""Tokens of a question, a short and a long passage, and how often each is run: the minimum counts."""

VOCABULARY = 200_000


def open_session(folder, profile=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(
        os.path.join(folder, "model.onnx"), options, providers=["CPUExecutionProvider"]
    )


def tokens(session, length):
    ids = numpy.random.RandomState(length).randint(10, VOCABULARY, (1, length))
    given = {"input_ids": ids, "attention_mask": numpy.ones((1, length)), "token_type_ids": numpy.zeros((1, length))}
    return {one.name: given[one.name].astype(numpy.int64) for one in session.get_inputs()}


def profile(folder):
    session = open_session(folder)
    for length, runs in LENGTHS.items():
        given = tokens(session, length)
        took = []
        for _ in range(runs):
            start = time.perf_counter()
            session.run(None, given)
            took.append(time.perf_counter() - start)
        with tempfile.TemporaryDirectory() as scratch:
            profiled = open_session(folder, os.path.join(scratch, "profile"))
            for _ in range(runs):
                profiled.run(None, given)
            with open(profiled.end_profiling()) as file:
                events = json.load(file)
        nodes = collections.defaultdict(list)
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                nodes[event["args"]["op_name"], event["name"]].append(event["dur"] / 1_000)
        kinds = collections.defaultdict(list)
        for (kind, _), durations in nodes.items():
            kinds[kind].append(min(durations))
        total = sum(map(sum, kinds.values()))
        print(f"{length} tokens: {min(took) * 1_000:.2f} ms")
        for kind, durations in sorted(kinds.items(), key=lambda item: -sum(item[1])):
            took = sum(durations)
            print(f"  {kind:24} {len(durations):4} nodes {took:8.2f} ms {100 * took / total:5.1f} %")


def embeddings(folder):
    session = open_session(folder)
    for length in LENGTHS:
        embedding = session.run(None, tokens(session, length))[0][0].mean(axis=0)
        yield (embedding / numpy.linalg.norm(embedding)).tolist()


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder")
parser.add_argument("--save", metavar="FILE")
parser.add_argument("--compare", metavar="FILE")
arguments = parser.parse_args()
if arguments.save:
    with open(arguments.save, "w") as file:
        json.dump(list(embeddings(arguments.folder)), file)
elif arguments.compare:
    with open(arguments.compare) as file:
        others = json.load(file)
    for length, one, other in zip(LENGTHS, embeddings(arguments.folder), others):
        print(f"{length} tokens: cosine {numpy.dot(one, other):.6f}")
else:
    profile(arguments.folder)
