"""Hosts with a network between them: namespaces joined by a bridge, or where those cannot be had loopback addresses."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

__all__ = ["Loopback", "Namespaces", "Network", "make_network"]

OUTSIDE = "outside"
"""The host of this program itself: customers, the balancer, the mail server, the host application."""
_CLONE_NEWNET = 0x40000000


class Network(Protocol):
    """Hosts by name, each with an address."""

    kind: str

    def address(self, host: str) -> str:
        """Where a host is."""

    async def start(self, host: str, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        """Run a program on a host."""

    def cut(self, host: str) -> None:
        """Nothing that this host sends arrives anywhere, and nothing arrives there; nobody is told."""

    def join(self, host: str) -> None:
        """It is there again."""

    async def stop(self, host: str) -> None:
        """End the programs of a host, as an orderly shutdown does."""

    async def close(self) -> None:
        """End all, and leave nothing behind."""


class _Programs:
    """The programs of hosts."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.hosts = [OUTSIDE, *hosts]
        self.running: dict[str, list[asyncio.subprocess.Process]] = {host: [] for host in hosts}

    async def spawn(self, host: str, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **environment}, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip
        self.running[host].append(process)

    async def stop(self, host: str) -> None:
        processes, self.running[host] = self.running[host], []
        for process in processes:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in processes:
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def stop_all(self) -> None:
        # Last started, first stopped: the database is first to come and last to go.
        for host in reversed(self.hosts[1:]):
            await self.stop(host)


class Namespaces(_Programs):
    """Each host is a network namespace, whose one cable leads to a bridge in a namespace of its own. Needs root."""

    kind = "network namespaces"

    def __init__(self, hosts: Sequence[str]) -> None:
        super().__init__(hosts)
        self._prefix = f"ts{os.getpid()}-"
        self._hub = f"{self._prefix}hub"
        _ip("netns", "add", self._hub)
        try:
            _ip("-n", self._hub, "link", "add", "br0", "type", "bridge")
            _ip("-n", self._hub, "link", "set", "br0", "up")
            for number, host in enumerate(self.hosts):
                self._add(number, host)
        except BaseException:
            self._remove()
            raise
        _enter(self._name(OUTSIDE))

    def _name(self, host: str) -> str:
        return f"{self._prefix}{host}"

    def _add(self, number: int, host: str) -> None:
        name, port = self._name(host), f"port{number}"
        _ip("netns", "add", name)
        _ip("-n", self._hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", self._hub, "link", "set", port, "master", "br0", "up")
        _ip("-n", name, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", name, "link", "set", device, "up")

    def address(self, host: str) -> str:
        return f"10.77.0.{self.hosts.index(host) + 1}"

    async def start(self, host: str, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        await self.spawn(host, ["ip", "netns", "exec", self._name(host), *command], environment, log)

    def cut(self, host: str) -> None:
        self._set_port(host, "disabled")

    def join(self, host: str) -> None:
        self._set_port(host, "forwarding")

    def _set_port(self, host: str, state: str) -> None:
        number = {"disabled": "0", "forwarding": "3"}[state]
        port = f"port{self.hosts.index(host)}"
        _run(["ip", "netns", "exec", self._hub, "bridge", "link", "set", "dev", port, "state", number])

    async def close(self) -> None:
        await self.stop_all()
        self._remove()

    def _remove(self) -> None:
        for name in (*(self._name(host) for host in self.hosts), self._hub):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)


class Loopback(_Programs):
    """Each host is an address of the loopback device (Linux), and is cut off by being frozen."""

    kind = "loopback addresses (no network namespaces here: a host is frozen, not cut off)"

    def address(self, host: str) -> str:
        return "127.0.0.1" if host == OUTSIDE else f"127.77.0.{self.hosts.index(host) + 1}"

    async def start(self, host: str, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        await self.spawn(host, command, environment, log)

    def cut(self, host: str) -> None:
        self._signal(host, signal.SIGSTOP)

    def join(self, host: str) -> None:
        self._signal(host, signal.SIGCONT)

    def _signal(self, host: str, number: signal.Signals) -> None:
        for process in self.running[host]:
            if process.returncode is None:
                process.send_signal(number)

    async def close(self) -> None:
        await self.stop_all()


def make_network(hosts: Sequence[str], *, loopback: bool) -> Network:
    """Namespaces where they can be had and `loopback` is not asked for."""
    if loopback or os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("bridge"):
        return Loopback(hosts)
    try:
        return Namespaces(hosts)
    except (subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"No network namespaces here ({error}).\n")
        return Loopback(hosts)


def _enter(name: str) -> None:
    """Move this thread, and so whatever it starts, to a namespace."""
    with Path(f"/run/netns/{name}").open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    _run(["ip", *words])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
