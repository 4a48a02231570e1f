"""Worker processes: fresh interpreters that do what a test tells them, as an application's workers would."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from support.process import ChildProcess, child_environment
from support.users import command_as

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import Metrics
    from support.container import Box
    from support.users import User


class Worker(ChildProcess):
    """A process of its own that runs functions of `support.worker_tasks`, one after the other.

    Functions, arguments, results and exceptions travel by pickle over the process's pipes; what a function
    keeps for the next one stands in the worker's `State`.
    """

    def __init__(self, log_path: Path, user: User | None = None, box: Box | None = None) -> None:
        """Start it, as another user or in a container if that is given."""
        super().__init__(log_path)
        command = [sys.executable, "-c", "from support.worker_tasks import serve; serve()"]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command_as(user, command) if box is None else box.command(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=child_environment(),
            )

    def run(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Run `function(state, *arguments)` over there and return what it returns, or raise what it raises."""
        self.start(function, *arguments)
        return self.result()

    def start(self, function: Callable[..., Any], *arguments: object) -> None:
        """Let `function` begin; `result` fetches its outcome."""
        assert self.process.stdin is not None
        pickle.dump((function, arguments), self.process.stdin)
        self.process.stdin.flush()

    def result(self) -> Any:
        """What the function that was started last has returned."""
        assert self.process.stdout is not None
        try:
            succeeded, outcome = pickle.load(self.process.stdout)
        except EOFError:
            message = f"the worker ended with status {self.process.wait()}:\n{self.log_text()}"
            raise AssertionError(message) from None
        if not succeeded:
            raise outcome
        return outcome

    def connect(self, kind: str, **configuration: Any) -> None:
        """Create the worker's client."""
        from support import worker_tasks

        self.run(worker_tasks.connect, kind, configuration)

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method of the worker's client."""
        from support import worker_tasks

        return self.run(worker_tasks.call, method, arguments)

    def metrics(self) -> Metrics:
        """All six metrics, as the worker's client sees them."""
        from support import worker_tasks

        metrics: Metrics = self.run(worker_tasks.metrics)
        return metrics

    def finish(self) -> int:
        """Let it end as a program does that has come to its last line; its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(10)

    def discard(self) -> None:
        """End it whatever state it is in."""
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
