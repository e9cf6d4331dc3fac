"""The way to an instance on another machine, held open: ports here that lead to its servers, whatever becomes of the line.

One connection of ssh asks the user what it has to, once, and shares itself by a socket for the forwardings; where
connections cannot be shared, the forwardings are given to a connection of their own.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from qraft.config import RunInfo
from qraft.remote import question
from qraft.remote.address import Forward, Target, free_port, local_url
from qraft.remote.destination import Destination
from qraft.remote.errors import RemoteError
from qraft.remote.probe import answers
from qraft.remote.session import Session
from qraft.remote.ssh import Ssh, private_folder, program
from qraft.remote.wanted import Wanted

ASK_EVERY_SECONDS: Final = 3.0
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 15.0
_ANSWER_SECONDS: Final = 30.0
_HOLD_SECONDS: Final = 0.3
_TURN_SECONDS: Final = 0.2
_SHARING: Final = re.compile(
    r"unix_listener|control ?(socket|path)|multiplex|\bmux|getsockname|unknown option", re.IGNORECASE
)
"""What an ssh says that cannot share its connections."""


class Tunnel:
    """Opened once, in the foreground; from then on a thread of its own brings it back on the same ports, without asking.

    Attributes:
        run: the instance over there, its addresses led through ports here.
        trouble: why the line is down, in ssh's words; empty while it is up.
    """

    def __init__(self, destination: Destination, wanted: Wanted, environment: Mapping[str, str]) -> None:
        """Nothing is started yet.

        Raises:
            RemoteError: there is no ssh.
        """
        self._environment = environment
        self._wanted = wanted
        self._place = f"{wanted.data_dir} on {destination}"
        self._ssh = Ssh(program(environment), destination)
        self._session: Session | None = None
        self._forwards: dict[str, Forward] = {}
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None
        self.run = RunInfo()
        self.trouble = ""

    def open(self, say: Callable[[str], None]) -> Self:
        """Connects, with whatever ssh has to ask, and leads ports here to the servers there.

        Args:
            say: takes a line for the user: ssh's own words, and what goes on.

        Raises:
            RemoteError: the machine or the instance cannot be reached.
        """
        try:
            self._open(say)
        except BaseException:
            self.close()
            raise
        self._keeper = threading.Thread(target=self._keep, name="ssh", daemon=True)
        self._keeper.start()
        return self

    def close(self) -> None:
        """Ends ssh and takes its socket away."""
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join()
        self._share_nothing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self, say: Callable[[str], None]) -> None:
        if (folder := private_folder(self._environment)) is not None:
            self._ssh = dataclasses.replace(self._ssh, socket=folder / "s")
        say(f"connecting to {self._ssh.destination} …")
        there = self._wanted.run(self._first_answer(say), self._place)
        targets = {"nats": Target.of(there.nats_url), "clickhouse": Target.of(there.clickhouse_url)}
        if self._ssh.socket is not None and not self._ssh.shared():
            self._share_nothing()
        self._forwards = {part: Forward(free_port(), target) for part, target in targets.items()}
        if self._ssh.socket is not None:
            self._forward_all()
        else:
            say("connecting once more, now with the ports …")
            self._first_answer(say)
        self.run = msgspec.structs.replace(
            there,
            nats_url=local_url(there.nats_url, self._forwards["nats"].port),
            clickhouse_url=local_url(there.clickhouse_url, self._forwards["clickhouse"].port),
        )
        self._probe(there)

    def _share_nothing(self) -> None:
        self._drop()
        if self._ssh.socket is not None:
            shutil.rmtree(self._ssh.socket.parent, ignore_errors=True)
            self._ssh = dataclasses.replace(self._ssh, socket=None)

    def _connect(self, *, ask: bool) -> Session:
        self._drop()
        if self._ssh.socket is not None:
            self._ssh.socket.unlink(missing_ok=True)  # a killed ssh leaves it, and the next would not share itself
        forwards = [] if self._ssh.socket else list(self._forwards.values())
        command = self._ssh.connection(question.command(self._wanted.data_dir), forwards, ask=ask)
        self._session = session = Session(command, ask=ask)
        session.start()
        session.ask()
        return session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.end()
            self._session = None

    def _first_answer(self, say: Callable[[str], None]) -> question.Answer:
        """Connects and waits as long as the user needs to log in, and only then for a bounded time."""
        session, socket = self._connect(ask=True), self._ssh.socket
        let_in: float | None = None
        while session.answer is None:
            if session.status is not None:
                if socket is not None and _SHARING.search(session.why()):
                    self._share_nothing()
                    return self._first_answer(say)
                self._say_all(session, say)
                raise RemoteError(f"{self._ssh.destination} cannot be reached: {session.why()}")
            session.pump(_TURN_SECONDS)
            now = time.monotonic()
            for line in session.said(now - _HOLD_SECONDS):  # the last one, if it ends with it, goes into the error
                say(line)
            if let_in is None and socket is not None and socket.exists():
                let_in = now
            if let_in is not None and now - let_in > _ANSWER_SECONDS:
                raise RemoteError(f"no POSIX shell answers on {self._ssh.destination}; the account there has to have one")
        answer, session.answer = session.answer, None
        return answer

    def _say_all(self, session: Session, say: Callable[[str], None]) -> None:
        for line in session.said(time.monotonic())[:-1]:
            say(line)

    def _forward_all(self) -> None:
        for forward in self._forwards.values():
            self._forward(forward)

    def _forward(self, forward: Forward) -> None:
        if (refusal := self._ssh.forward(forward)) is not None:
            raise RemoteError(f"{forward.target.host}:{forward.target.port} cannot be reached through ssh: {refusal}")

    def _probe(self, there: RunInfo) -> None:
        """One server that answers is enough: the interface waits for the other."""
        urls = {"nats": there.nats_url, "clickhouse": there.clickhouse_url}
        if any(answers(urlsplit(url).scheme, self._forwards[part].port) for part, url in urls.items()):
            return
        assert self._session is not None
        self._session.pump(_TURN_SECONDS)
        words = self._session.why()
        if "prohibited" in words:
            raise RemoteError(f"{self._ssh.destination} lets no port be forwarded ({words}); sshd there has to allow it")
        raise RemoteError(
            f"nothing is running under {self._place}: nobody answers at the addresses that run.json there names "
            f"({' and '.join(urls.values())}); start it with `qraft up` there"
        )

    def _keep(self) -> None:
        wait, since = FIRST_WAIT_SECONDS, time.monotonic()
        while not self._stop.is_set():
            try:
                if self._session is None:
                    self._return()
                    since, self.trouble = time.monotonic(), ""
                else:
                    self._attend(self._session)
            except (RemoteError, OSError) as error:
                self.trouble = str(error)
                self._drop()
                if time.monotonic() - since > LONGEST_WAIT_SECONDS:
                    wait = FIRST_WAIT_SECONDS
                self._stop.wait(wait)
                wait, since = min(2 * wait, LONGEST_WAIT_SECONDS), time.monotonic()

    def _return(self) -> None:
        """Connects again without asking anybody, on the same ports here."""
        session = self._connect(ask=False)
        deadline = time.monotonic() + _ANSWER_SECONDS
        while session.answer is None and not self._stop.is_set():
            if session.status is not None:
                raise RemoteError(session.why())
            if time.monotonic() > deadline:
                raise RemoteError("no answer in time")
            session.pump(_TURN_SECONDS)
        if session.answer is not None:
            if self._ssh.socket is not None:
                self._forward_all()
            self._follow(session)

    def _attend(self, session: Session) -> None:
        session.pump(_TURN_SECONDS)
        if session.status is not None:
            raise RemoteError(session.why())
        self._follow(session)
        if not session.waiting and time.monotonic() - session.asked > ASK_EVERY_SECONDS:
            session.ask()

    def _follow(self, session: Session) -> None:
        """Leads the ports here to where the servers are now, as far as an answer says so."""
        answer, session.answer = session.answer, None
        if answer is None:
            return
        try:
            there = self._wanted.run(answer, self._place)
            targets = {"nats": Target.of(there.nats_url), "clickhouse": Target.of(there.clickhouse_url)}
        except RemoteError:
            return  # it is being started again: where its servers were is all that is known
        moved = {
            part: Forward(old.port, targets[part]) for part, old in self._forwards.items() if targets[part] != old.target
        }
        before, self._forwards = self._forwards, {**self._forwards, **moved}
        if moved and self._ssh.socket is None:
            raise RemoteError("the servers there have other ports now")
        for part, forward in moved.items():
            self._ssh.cancel(before[part])
            self._forward(forward)
