//! Commands on keys.

use super::*;
use crate::op::{Condition, ExpireOnly, Expiry, KEY_MAX, SetAnswer, Unit, VALUE_MAX};

fn set(condition: Condition<'_>, expiry: Expiry, answer: SetAnswer) -> Op<'_> {
    Op::Set {
        key: b"k",
        value: b"v",
        condition,
        expiry,
        answer,
    }
}

fn expire(expiry: Expiry, only: ExpireOnly) -> Op<'static> {
    Op::Expire {
        key: b"k",
        expiry,
        only,
    }
}

fn scan(cursor: u64, pattern: Option<&[u8]>, count: u32) -> Op<'_> {
    Op::Scan {
        cursor,
        pattern,
        count,
    }
}

fn reads(commands: &[(&str, Op<'_>)]) {
    for (line, op) in commands {
        with(line, |command| {
            assert_eq!(command, Ok(Command::Op(op.clone())), "{line}");
        });
    }
}

fn fails(commands: &[(&str, &str)]) {
    for (line, text) in commands {
        assert_eq!(error(line), *text, "{line}");
    }
}

const SYNTAX: &str = "ERR syntax error";
const INTEGER: &str = "ERR value is not an integer or out of range";

#[test]
fn simple_commands_are_read() {
    let (key, value) = (&b"k"[..], &b"v"[..]);
    reads(&[
        ("get k", Op::Get(key)),
        ("GetDel k", Op::Take(key)),
        ("mget k v k", Op::GetMany(vec![key, value, key])),
        ("exists k v", Op::Exists(vec![key, value])),
        ("del k", Op::Delete(vec![key])),
        ("unlink k v", Op::Delete(vec![key, value])),
        ("strlen k", Op::Length(key)),
        ("type k", Op::Type(key)),
        ("persist k", Op::Persist(key)),
        (
            "ttl k",
            Op::TimeLeft {
                key,
                unit: Unit::Seconds,
            },
        ),
        (
            "pttl k",
            Op::TimeLeft {
                key,
                unit: Unit::Milliseconds,
            },
        ),
        ("dbsize", Op::Size),
        ("keys *", Op::Keys(b"*")),
        ("append k v", Op::Append { key, value }),
        (
            "mset k v v k",
            Op::SetMany(vec![(key, value), (value, key)]),
        ),
        (
            "delex k",
            Op::DeleteIf {
                key,
                condition: Condition::Always,
            },
        ),
        (
            "delex k IfEq v",
            Op::DeleteIf {
                key,
                condition: Condition::Equals(value),
            },
        ),
        ("incr k", Op::Add { key, by: 1 }),
        ("decr k", Op::Add { key, by: -1 }),
        ("incrby k -7", Op::Add { key, by: -7 }),
        ("decrby k 7", Op::Add { key, by: -7 }),
        (
            "incrby k -9223372036854775808",
            Op::Add { key, by: i64::MIN },
        ),
    ]);
    fails(&[
        ("incrby k 1.0", INTEGER),
        ("incrby k +1", INTEGER),
        ("decrby k x", INTEGER),
        (
            "decrby k -9223372036854775808",
            "ERR decrement would overflow",
        ),
        ("delex k ifne v", "ERR Invalid condition. Use IFEQ"),
    ]);
}

#[test]
fn set_has_a_condition_a_time_and_an_answer() {
    use Condition::{Absent, Always, Equals, Present};
    use Expiry::{At, In, Keep, Never};
    use SetAnswer::{Count, Old, Status};
    reads(&[
        ("set k v", set(Always, Never, Status)),
        ("set k v nx", set(Absent, Never, Status)),
        ("set k v XX xx", set(Present, Never, Status)),
        ("set k v get", set(Always, Never, Old)),
        ("set k v nx get", set(Absent, Never, Old)),
        ("set k v ifeq old", set(Equals(b"old"), Never, Status)),
        (
            "set k v ifeq get get ex 1",
            set(Equals(b"get"), In(1_000), Old),
        ),
        ("set k v keepttl", set(Always, Keep, Status)),
        ("set k v keepttl KEEPTTL", set(Always, Keep, Status)),
        ("set k v ex 10", set(Always, In(10_000), Status)),
        ("set k v ex 10 EX 20", set(Always, In(20_000), Status)),
        ("set k v px 10 nx", set(Absent, In(10), Status)),
        ("set k v exat 10", set(Always, At(10_000), Status)),
        ("set k v pxat 10", set(Always, At(10), Status)),
        (
            "set k v pxat 9223372036854775807",
            set(Always, At(i64::MAX.cast_unsigned()), Status),
        ),
        ("setex k 3 v", set(Always, In(3_000), Status)),
        ("psetex k 3 v", set(Always, In(3), Status)),
        ("setnx k v", set(Absent, Never, Count)),
        ("getset k v", set(Always, Never, Old)),
    ]);
    fails(&[
        ("set k v nx xx", SYNTAX),
        ("set k v ifeq v nx", SYNTAX),
        ("set k v ifeq", SYNTAX),
        ("set k v ex", SYNTAX),
        ("set k v ex 1 px 1", SYNTAX),
        ("set k v ex 1 exat 1", SYNTAX),
        ("set k v keepttl ex 1", SYNTAX),
        ("set k v ex 1 keepttl", SYNTAX),
        ("set k v persist", SYNTAX),
        ("set k v 10", SYNTAX),
        ("set k v ex x", INTEGER),
        ("set k v ex 0", "ERR invalid expire time in 'set' command"),
        (
            "set k v pxat -1",
            "ERR invalid expire time in 'set' command",
        ),
        (
            "set k v ex 9223372036854775807",
            "ERR invalid expire time in 'set' command",
        ),
        (
            "set k v px 9223372036854775807",
            "ERR invalid expire time in 'set' command",
        ),
        ("setex k 0 v", "ERR invalid expire time in 'setex' command"),
        (
            "psetex k -1 v",
            "ERR invalid expire time in 'psetex' command",
        ),
        ("setex k x v", INTEGER),
    ]);
}

#[test]
fn getex_sets_a_time_or_keeps_it() {
    let op = |expiry| Op::GetAndExpire { key: b"k", expiry };
    reads(&[
        ("getex k", op(Expiry::Keep)),
        ("getex k persist", op(Expiry::Never)),
        ("getex k ex 1", op(Expiry::In(1_000))),
        ("getex k pxat 1", op(Expiry::At(1))),
    ]);
    fails(&[
        ("getex k keepttl", SYNTAX),
        ("getex k persist ex 1", SYNTAX),
        ("getex k ex", SYNTAX),
        ("getex k nx", SYNTAX),
        ("getex k ex 0", "ERR invalid expire time in 'getex' command"),
    ]);
}

#[test]
fn expire_takes_times_that_have_passed() {
    use ExpireOnly::{Always, Earlier, Expiring, Later, Never};
    use Expiry::{At, In};
    reads(&[
        ("expire k 10", expire(In(10_000), Always)),
        ("pexpire k 10", expire(In(10), Always)),
        ("expireat k 10", expire(At(10_000), Always)),
        ("pexpireat k 10", expire(At(10), Always)),
        ("expire k 0", expire(At(0), Always)),
        ("expire k -1", expire(At(0), Always)),
        ("pexpireat k -1", expire(At(0), Always)),
        ("pexpire k 1 nx", expire(In(1), Never)),
        ("pexpire k 1 XX", expire(In(1), Expiring)),
        ("pexpire k 1 gt", expire(In(1), Later)),
        ("pexpire k 1 xx gt", expire(In(1), Later)),
        ("pexpire k 1 lt lt", expire(In(1), Earlier)),
    ]);
    let nx = "ERR NX and XX, GT or LT options at the same time are not compatible";
    fails(&[
        ("expire k x", INTEGER),
        ("expire k x foo", "ERR Unsupported option foo"),
        ("expire k 1 nx xx", nx),
        ("expire k 1 gt nx", nx),
        (
            "expire k 1 gt lt",
            "ERR GT and LT options at the same time are not compatible",
        ),
        (
            "expire k 1 xx lt",
            "ERR XX and LT options at the same time are not compatible",
        ),
        (
            "expire k 9223372036854775807",
            "ERR invalid expire time in 'expire' command",
        ),
        (
            "expireat k -9223372036854775808",
            "ERR invalid expire time in 'expireat' command",
        ),
        (
            "pexpire k 9223372036854775807",
            "ERR invalid expire time in 'pexpire' command",
        ),
    ]);
}

#[test]
fn scan_has_a_cursor_and_options() {
    reads(&[
        ("scan 0", scan(0, None, 10)),
        ("scan 18446744073709551615", scan(u64::MAX, None, 10)),
        ("scan 5 match a* count 100", scan(5, Some(b"a*"), 100)),
        (
            "scan 5 COUNT 9999999999 TYPE string",
            scan(5, None, u32::MAX),
        ),
    ]);
    fails(&[
        ("scan x", "ERR invalid cursor"),
        ("scan 18446744073709551616", "ERR invalid cursor"),
        ("scan 0 count", SYNTAX),
        ("scan 0 count 0", SYNTAX),
        ("scan 0 count x", INTEGER),
        ("scan 0 foo bar", SYNTAX),
        ("scan 0 type list", "ERR unknown type name 'list'"),
    ]);
}

#[test]
fn keys_and_values_have_a_greatest_length() {
    let (key, value) = ("k".repeat(KEY_MAX), "v".repeat(VALUE_MAX));
    let (long_key, long_value) = (format!("{key}k"), format!("{value}v"));
    with(&format!("set {key} {value}"), |command| {
        assert!(command.is_ok());
    });
    with(&format!("keys {key}"), |command| assert!(command.is_ok()));
    for line in [
        "get {}",
        "set {} v",
        "mget k {}",
        "mset k v {} v",
        "expire {} 1",
        "del k {}",
    ] {
        assert_eq!(
            error(&line.replace("{}", &long_key)),
            "ERR key is longer than 128 bytes",
            "{line}"
        );
    }
    for line in [
        "set k {}",
        "append k {}",
        "mset k {}",
        "set k v ifeq {}",
        "delex k ifeq {}",
        "setex k 1 {}",
    ] {
        let text = "ERR value is longer than 256 bytes";
        assert_eq!(error(&line.replace("{}", &long_value)), text, "{line}");
    }
    for line in ["keys {}", "scan 0 match {}"] {
        let text = "ERR pattern is longer than 128 bytes";
        assert_eq!(error(&line.replace("{}", &long_key)), text, "{line}");
    }
}
