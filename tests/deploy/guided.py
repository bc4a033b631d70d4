"""Answers what a program asks at a terminal, as a person would, and prints all that it said.

    python guided.py ANSWERS PROGRAM ARGUMENT...

ANSWERS is a JSON list of pairs: a part of a question, and the answer to it. A question with none gets a return: its
default. The program ends with 124 if it asks one question twice.
"""

import json
import os
import pty
import re
import select
import sys

# SAM's questions end so: `Parameter DatabaseUrl []: `, `Deploy this changeset? [y/N]: `.
QUESTION = re.compile(r"([^\r\n]*\S): ?$")
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# The seconds of silence after which a line that looks like a question is one.
SILENCE = 0.1


def main(answers, program):
    process, terminal = pty.fork()
    if process == 0:
        os.execvp(program[0], program)
    said, read, asked = "", 0, set()
    while True:
        ready, _, _ = select.select([terminal], [], [], SILENCE)
        if ready:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # Linux says so that the other end is closed.
                piece = b""
            if not piece:
                break
            said += piece.decode(errors="replace")
            continue
        question = QUESTION.search(STYLE.sub("", said[read:]))
        if question is None:
            continue
        if question[1] in asked:
            os.kill(process, 9)
            print(said, f"\nasked again: {question[1]}", sep="")
            return 124
        asked.add(question[1])
        read = len(said)
        answer = next((answer for part, answer in answers if part in question[1]), "")
        os.write(terminal, answer.encode() + b"\n")
    print(STYLE.sub("", said).replace("\r\n", "\n"))
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2:]))
