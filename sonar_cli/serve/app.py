"""The application: which address answers what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import PurePath
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from sonar_cli import __version__
from sonar_cli.api import SonarLLM
from sonar_cli.errors import SonarError
from sonar_cli.serve import embeddings, summaries
from sonar_cli.serve.completions import Completions, writings
from sonar_cli.serve.failures import Busy, Closing, Refused, refusal
from sonar_cli.serve.guard import Guard, refused
from sonar_cli.serve.jobs import Result, Task, Work
from sonar_cli.serve.messages import Completion, Embedding, SummaryRequest
from sonar_cli.serve.options import ServeOptions
from sonar_cli.serve.page import page
from sonar_cli.serve.request import Gone, Jobs, unless_gone
from sonar_cli.serve.worker import Worker

# The status of nginx for a client that went away; nobody reads it.
_GONE = 499
# What is answered; any other exception is also told to the log.
_EXPECTED = (
    *(HTTPException, RequestValidationError, Refused, Busy, Closing, Gone, SonarError),
    Exception,
)


def application(llm: SonarLLM, options: ServeOptions, notify: Callable[[str], None]) -> FastAPI:
    """Return the application that serves a model whose predictor is loaded."""
    worker = Worker(llm, options.queue, notify)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        worker.close()

    app = FastAPI(
        title="sonar-llm", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.add_middleware(Guard, options=options)
    for kind in _EXPECTED:
        app.add_exception_handler(kind, _failed)
    served = Served(llm, options, worker)
    app.add_api_route("/", served.page, response_class=HTMLResponse, include_in_schema=False)
    app.add_api_route("/healthz", served.health)
    app.add_api_route("/v1/models", served.models)
    app.add_api_route("/v1/models/{name:path}", served.model)
    for path, answer in (
        ("/v1/completions", served.completions),
        ("/v1/embeddings", served.embeddings),
        ("/v1/summaries", served.summaries),
    ):
        app.add_api_route(path, answer, methods=["POST"], response_model=None)
    app.state.worker = worker
    return app


class Served:
    """A model and its worker, and what they answer."""

    def __init__(self, llm: SonarLLM, options: ServeOptions, worker: Worker) -> None:
        self._llm = llm
        self._options = options
        self._worker = worker
        # A path is nobody else's business.
        self.name = PurePath(llm.request.model).name
        self._since = int(time.time())

    async def page(self) -> HTMLResponse:
        """Answer with the page that continues and sums up text."""
        html, headers = page()
        return HTMLResponse(html, headers=headers)

    async def health(self) -> JSONResponse:
        """Tell whether the model works, and how much it has to do."""
        alive = self._worker.is_alive
        found = {
            "status": "ok" if alive else "closing",
            "running": self._worker.running,
            "waiting": self._worker.waiting,
        }
        return JSONResponse(found, 200 if alive else 503)

    async def models(self) -> dict[str, Any]:
        """List the one model."""
        return {"object": "list", "data": [self._about()]}

    async def model(self, name: str) -> dict[str, Any]:
        """Tell about the model."""
        self._check_model(name)
        return self._about()

    async def completions(self, asked: Completion, http: Request) -> Response:
        """Continue texts."""
        self._check_model(asked.model)
        given = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
        self._check_texts(given, "prompt", len(given) * (asked.n or 1))
        jobs = Jobs(self._worker)
        texts = writings(asked, self._llm, jobs, self._options.sentences)
        answer = Completions(texts, self.name, asked.n or 1)
        if asked.stream:
            usage = asked.stream_options is not None and asked.stream_options.include_usage
            return await self._stream(http, jobs, texts, answer, usage)

        async def all_of_it() -> dict[str, Any]:
            async for number, event in jobs.events():
                answer.take(number, event)
            return answer.whole()

        jobs.submit(texts)
        try:
            return JSONResponse(await unless_gone(http, all_of_it()))
        finally:
            jobs.cancel()

    async def embeddings(self, asked: Embedding, http: Request) -> Response:
        """Embed texts."""
        self._check_model(asked.model)
        self._check_texts(asked.texts, "input", 1)
        width = self._llm.codec.width
        if asked.dimensions not in (None, width):
            raise Refused(422, f"vectors have {width} dimensions", param="dimensions")
        self._llm.check_languages(asked.source_lang)
        found = await self._done(http, embeddings.embed(asked.texts, asked.source_lang))
        # Thousands of vectors take a while to write down.
        return await asyncio.to_thread(
            lambda: JSONResponse(embeddings.answer(asked, found, self.name))
        )

    async def summaries(self, asked: SummaryRequest, http: Request) -> Response:
        """Sum up a text."""
        self._check_model(asked.model)
        self._check_texts([asked.input], "input", 1)
        self._llm.check_languages(asked.source_lang)
        found = await self._done(http, summaries.sum_up(asked))
        return JSONResponse(summaries.answer(found, self.name))

    async def _stream(
        self, http: Request, jobs: Jobs, texts: Sequence[Any], answer: Completions, usage: bool
    ) -> Response:
        """Answer with a stream once the first text has its place: until then errors have a status.

        From then on the stream holds the places, and frees them however it ends.
        """
        jobs.submit(texts)
        events = jobs.events()

        async def first() -> Any:
            return await events.__anext__()

        try:
            began = await unless_gone(http, first())
        except BaseException:
            jobs.cancel()
            raise

        async def all_events() -> AsyncIterator[Any]:
            yield began
            async for each in events:
                yield each

        return _Events(answer.stream(all_events(), usage), jobs.cancel)

    async def _done(self, http: Request, work: Work) -> Any:
        """Return what some work comes to."""
        jobs = Jobs(self._worker)

        async def result() -> Any:
            async for _, event in jobs.events():
                if isinstance(event, Result):
                    return event.value

        jobs.submit([Task(jobs.deliver(0), work)])
        try:
            return await unless_gone(http, result())
        finally:
            jobs.cancel()

    def _about(self) -> dict[str, Any]:
        return {
            "id": self.name,
            "object": "model",
            "created": self._since,
            "owned_by": "sonar-llm",
        }

    def _check_model(self, name: str | None) -> None:
        if name not in (None, self.name):
            raise Refused(
                404, f"there is no model {name!r} here; this is {self.name}",
                param="model", code="model_not_found",
            )  # fmt: skip

    def _check_texts(self, texts: Sequence[str], param: str, places: int) -> None:
        """Raise Refused for texts that are too many or too long."""
        if places > self._worker.most:
            raise Refused(
                422, f"{places} texts never have a place at once; ask for {self._worker.most} at "
                "most", param=param,
            )  # fmt: skip
        if any(len(each) > self._options.max_chars for each in texts):
            most = self._options.max_chars
            raise Refused(
                422, f"a text has at most {most} characters",
                param=param, code="context_length_exceeded",
            )  # fmt: skip


class _Events(StreamingResponse):
    """Server-sent events; `done` is called however the answer ends."""

    def __init__(self, content: AsyncIterator[str], done: Callable[[], None]) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._done()


async def _failed(http: Request, error: Exception) -> Response:
    """Answer in OpenAI's form, whatever went wrong."""
    if isinstance(error, Gone):
        return Response(status_code=_GONE)
    if isinstance(error, RequestValidationError):
        return refused(_invalid(error))
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        return refused(Refused(error.status_code, str(error.detail), headers=headers))
    return refused(refusal(error))


def _invalid(error: RequestValidationError) -> Refused:
    """Say what is wrong with the first field that is."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return Refused(400, "the body is no JSON")
    field = next((str(each) for each in first["loc"][1:]), None)
    message = first["msg"].removeprefix("Value error, ")
    return Refused(422, f"{field}: {message}" if field else message, param=field)
