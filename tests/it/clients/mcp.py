"""Uses an MCP server by the official SDK, and prints one line of JSON for each revision of the protocol: what it read.

The argument is the URL of the server, or the program to start with the argument mcp, which is asked by stdin and stdout.
"""

import asyncio
import json
import os
import sys

from mcp import Client, MCPError, StdioServerParameters

target = sys.argv[1] if "://" in sys.argv[1] else StdioServerParameters(command=sys.argv[1], args=["mcp"], env=dict(os.environ))


def text(result):
    return "".join(block.text for block in result.content)


async def use(client):
    read = {"version": client.protocol_version, "instructions": client.instructions}
    tools = (await client.list_tools()).tools
    read["tools"] = {tool.name: sorted((tool.output_schema or {})["properties"]) for tool in tools}
    read["read_only"] = all(tool.annotations.read_only_hint for tool in tools)
    found = await client.call_tool("search", {"query": "Quand ferme la plage ?", "limit": 2})
    read["search"] = found.structured_content
    read["same_as_text"] = json.loads(text(found)) == found.structured_content
    filtered = await client.call_tool("search", {"query": "horaires", "filter": {"theme": "four"}})
    read["filtered"] = [result["id"] for result in filtered.structured_content["results"]]
    read["fetch"] = (await client.call_tool("fetch", {"id": found.structured_content["results"][0]["id"]})).structured_content
    read["filters"] = (await client.call_tool("list_filters", {})).structured_content
    read["errors"] = []
    for name, arguments in [
        ("fetch", {"id": "nobody"}),
        ("search", {"query": " "}),
        ("search", {"query": "a", "limit": 1000}),
        ("search", {"query": "a", "filter": "theme"}),
        ("search", {"question": "a"}),
    ]:
        result = await client.call_tool(name, arguments)
        assert result.is_error, (name, arguments)
        read["errors"].append(text(result))
    try:
        await client.call_tool("delete", {})
    except MCPError as error:
        read["unknown_tool"] = error.message
    resources = (await client.list_resources()).resources
    read["resources"] = [[str(resource.uri), resource.title] for resource in resources]
    read["resource"] = (await client.read_resource(resources[-1].uri)).contents[0].text
    read["templates"] = [template.uri_template for template in (await client.list_resource_templates()).resource_templates]
    try:
        await client.read_resource("rappel://documents/nobody")
    except MCPError as error:
        read["unknown_resource"] = error.code
    return read


async def main():
    for mode in ("auto", "legacy"):
        async with Client(target, mode=mode) as client:
            print(json.dumps(await use(client)), flush=True)


asyncio.run(main())
