"""``guild-router explain``, ``guild-router tree`` and ``guild-router cluster``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from router.cli.breakers import span
from router.cli.client import DEFAULT_URL, TokenOption, UrlOption, answer_of, make_client, segment
from router.cli.dead_letters import when
from router.cli.output import JsonOption, clean, show_json, show_table

OLD = 2_000
"""Ms after which a picture of the cluster is not one of now; routers look three times in each lease."""


def explain(
    id: Annotated[str, typer.Argument(metavar="ID", help="The command's id, as send said it.")],
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    as_json: JsonOption = False,
) -> None:
    """Tell a command's story: who asked, what it met, each attempt, how it ended."""
    answer = answer_of(make_client(url, token), "GET", f"/api/commands/{segment(id)}/explain")
    if as_json:
        show_json(answer)
        return
    head = ("id", "type", "guildId", "subject", "queue", "priority", "userId", "source", "requestId", "state")
    show_table(("", ""), [(name, answer[name]) for name in head if answer.get(name) is not None], empty="")
    typer.echo()
    rows = [(when(step["at"]) if step["at"] else "now", step["event"], step["detail"]) for step in answer["story"]]
    show_table(("when", "what", "detail"), rows, empty="nothing happened yet")


def tree(url: UrlOption = DEFAULT_URL, token: TokenOption = "", as_json: JsonOption = False) -> None:
    """Show the supervision tree: each actor's state, restarts and mailbox."""
    answer = answer_of(make_client(url, token), "GET", "/api/admin/tree")
    if as_json:
        show_json(answer)
        return
    shown = Tree(_line(answer))
    _grow(shown, answer)
    Console(highlight=False).print(shown)


def cluster(url: UrlOption = DEFAULT_URL, token: TokenOption = "", as_json: JsonOption = False) -> None:
    """Show the routers that share the store: who lives, who owns how much, and how busy each is."""
    answer = answer_of(make_client(url, token), "GET", "/api/cluster")
    if as_json:
        show_json(answer)
        return
    columns = ("name", "partitions", "backlog", "running", "load", "lagMs", "bots", "version")
    rows = [
        (
            "*" if each["me"] else "",
            each["router"][-8:],
            *("" if each[name] is None else each[name] for name in columns),
        )
        for each in answer["members"]
    ]
    show_table(("", "router", *columns), rows, empty="nobody has been seen yet")
    if (age := answer["ageMs"]) is not None and age > OLD:
        typer.echo(f"as of {span(age)} ago, when the store last answered")
    free = [str(each["partition"]) for each in answer["partitions"] if each["router"] is None]
    if not answer["shared"]:
        typer.echo("the store is this router's alone")
    elif free:
        typer.echo(f"nobody owns {', '.join(free)}")


def _grow(branch: Tree, node: dict[str, Any]) -> None:
    for child in node.get("children", ()):
        _grow(branch.add(_line(child)), child)


def _line(node: dict[str, Any]) -> Text:
    parts = [f"{node['name']}  {node['state']}"]
    if node.get("restarts"):
        parts.append(f"{node['restarts']} restarts")
    if node.get("depth"):
        parts.append(f"{node['depth']} waiting")
    if node.get("last_error"):
        parts.append(str(node["last_error"]))
    return Text(clean("  ".join(parts)))
