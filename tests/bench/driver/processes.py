"""Starts programs, and ends each of them by its process id."""

import atexit
import random
import signal
import socket
import subprocess
import sys
import time

STOP_SECONDS_MAX = 30

_started = []


class Failure(Exception):
    """The reason why the benchmark cannot continue."""


def start(command, log, environment=None, folder=None, stop_signal=signal.SIGTERM):
    """Starts a program whose output is appended to the file `log`."""
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
            # Ctrl-C must reach only this program, which ends the others in order.
            start_new_session=True,
        )
    process.stop_signal = stop_signal
    process.log = log
    _started.append(process)
    return process


def stop(process):
    """Ends a program and waits for it."""
    if process in _started:
        _started.remove(process)
    if process.poll() is not None:
        return
    process.send_signal(process.stop_signal)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failure(f"{process.args[0]} did not stop within {STOP_SECONDS_MAX} s") from None


def stop_all():
    """Ends every program that is still running."""
    for process in reversed(_started[:]):
        try:
            stop(process)
        except Failure as failure:
            print(failure, file=sys.stderr)


atexit.register(stop_all)
for _signal in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_signal, lambda number, _: sys.exit(128 + number))


def run(command, **options):
    """Runs a program to its end and returns what it printed."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed ({done.returncode}): {' '.join(command)[:300]}\n{done.stderr[-3000:]}")
    return done.stdout


def wait_until(what, condition, process=None, seconds=60, every=0.02):
    """Waits until a condition holds; fails if `process` ends first."""
    deadline = time.monotonic() + seconds
    while not condition():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() >= deadline:
            log = "" if process is None else open(process.log, errors="replace").read()[-3000:]
            raise Failure(f"not within {seconds} s: {what}\n{log}")
        time.sleep(every)


def free_port():
    """Returns a port below the range of outgoing connections."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def accepts(port):
    """Returns True if a program listens on the port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
