"""A request is sent once, and aiohttp's errors are ours."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions, web

from router.protocols.rest import http
from router.protocols.rest.http import Http, Lost, NotSent, translated
from tests.fakes.served import Served, application

NEVER_LEFT = {
    "ClientConnectorError",
    "ClientConnectorDNSError",
    "ClientProxyConnectionError",
    "UnixClientConnectorError",
    "ClientConnectorSSLError",
    "ClientConnectorCertificateError",
    "ClientSSLError",
    "ConnectionTimeoutError",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
}


def errors() -> list[type[Exception]]:
    found = [cls for _, cls in inspect.getmembers(client_exceptions, inspect.isclass)]
    return [cls for cls in found if issubclass(cls, aiohttp.ClientError)]


@pytest.mark.parametrize("cls", errors())
def test_every_error_of_aiohttp_is_one_of_two(cls: type[Exception]) -> None:
    error = cls.__new__(cls)
    assert type(translated(error)) is (NotSent if cls.__name__ in NEVER_LEFT else Lost)


def test_what_is_none_of_its_errors_is_left_alone() -> None:
    error = ValueError("x")
    assert translated(error) is error
    assert type(translated(TimeoutError())) is Lost
    assert type(translated(ConnectionResetError())) is Lost


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "POST", "PATCH"])
def test_a_kept_connection_that_dies_is_not_used_to_send_it_twice(method: str) -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> Any:
        seen.append(request.method)
        if len(seen) > 1:
            request.transport.abort()
        return web.Response()

    async def twice(url: str) -> None:
        client = Http("test")
        try:
            assert (await client.send(method, url)).status == 200
            with pytest.raises(Lost):
                await client.send(method, url)
        finally:
            await client.close()

    with Served(application("/", handler)) as served:
        asyncio.run(twice(served.url))
    assert seen == [method, method]


def test_a_connection_that_cannot_be_made_in_time_was_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    async def send() -> None:
        client = Http("test", connect=0.05)
        monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", never)
        try:
            with pytest.raises(NotSent):
                await client.send("POST", "http://127.0.0.1:9/")
        finally:
            await client.close()

    asyncio.run(send())


def test_the_rest_of_a_known_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_TIME", 0.05)
    ended = asyncio.Event()

    async def handler(request: web.Request) -> Any:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"abc")
        await ended.wait()
        return response

    async def send(url: str) -> None:
        client = Http("test")
        try:
            for _ in range(2):  # the connection of the first one can carry no other
                answer = await client.send("POST", url)
                assert (answer.status, answer.body, answer.whole) == (200, b"abc", False)
        finally:
            await client.close()

    with Served(application("/", handler)) as served:
        asyncio.run(send(served.url))


def test_no_more_of_an_answer_is_read_than_the_bound() -> None:
    async def handler(request: web.Request) -> Any:
        return web.Response(body=b"x" * 5_000_000)

    async def send(url: str) -> None:
        client = Http("test")
        try:
            answer = await client.send("POST", url, most=1_000)
            assert (len(answer.body), answer.whole) == (1_000, False)
            assert (await client.send("POST", url, most=5_000_000)).whole
        finally:
            await client.close()

    with Served(application("/", handler)) as served:
        asyncio.run(send(served.url))
