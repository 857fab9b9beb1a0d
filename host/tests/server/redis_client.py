"""What ordinary programs do with redis-py, at the nodes whose ports are given. Ends with 0 if all of it works."""

import sys

import redis

ports = [int(port) for port in sys.argv[1:]]


def common(first, last):
    """Commands whose outcome another node shows."""
    assert first.ping()
    assert first.set("valve:3", "open")
    assert last.get("valve:3") == "open"
    assert last.get("valve:4") is None
    assert first.exists("valve:3", "valve:4") == 1
    assert first.incr("count") == 1
    assert last.incrby("count", 41) == 42
    assert first.mset({"a": "1", "b": "2"})
    assert last.mget("a", "b", "c") == ["1", "2", None]
    assert first.append("a", "0") == 2
    assert first.strlen("a") == 2
    assert first.getdel("a") == "10"
    assert last.delete("b", "count", "valve:3") == 3
    assert last.dbsize() == 0


def locks(first, last):
    """A lock with a time to live, that only its owner releases."""
    assert first.set("lock:pump", "me", nx=True, px=600_000)
    assert last.set("lock:pump", "you", nx=True, px=600_000) is None
    assert 0 < last.pttl("lock:pump") <= 600_000
    assert last.execute_command("DELEX", "lock:pump", "IFEQ", "you") == 0
    assert first.execute_command("DELEX", "lock:pump", "IFEQ", "me") == 1
    assert last.set("lock:pump", "you", nx=True, ex=600)
    assert first.persist("lock:pump")
    assert first.ttl("lock:pump") == -1
    assert first.delete("lock:pump") == 1


def transactions(first, last):
    """Commands in one proposal, and many at once without one."""
    with first.pipeline(transaction=True) as pipe:
        assert pipe.set("x", "1").incr("x").get("x").execute() == [True, 2, "2"]
    keys = [f"key:{number}" for number in range(200)]
    with last.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.set(key, "v")
        assert all(pipe.execute())
    assert set(first.scan_iter("key:*", count=50)) == set(keys)
    with last.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.unlink(key)
        assert sum(pipe.execute()) == 200
    assert first.delete("x") == 1


def errors(first, _):
    """Errors have the classes of the library."""
    first.set("text", "one")
    for wrong in (lambda: first.incr("text"), lambda: first.execute_command("LPUSH", "l", "1")):
        try:
            wrong()
        except redis.ResponseError:
            continue
        raise AssertionError("no error")
    assert first.delete("text") == 1


# RESP3 is spoken from version 5 of the library on.
protocols = [{"protocol": 2}, {"protocol": 3}] if redis.__version__ >= "5" else [{}]
for protocol in protocols:
    clients = [
        redis.Redis(port=port, decode_responses=True, client_name="test", socket_timeout=60, **protocol)
        for port in (ports[0], ports[-1])
    ]
    for check in (common, locks, transactions, errors):
        check(*clients)
print("done")
