//! Readers of the commands on strings.

use super::args::{self, Args, is};
use super::time::{Form, Timing};
use super::{Command, CommandError};
use crate::op::{Condition, Expiry, Op, SetAnswer};

type Read<'a> = Result<Command<'a>, CommandError>;

pub(super) fn get<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Get(args.key(1)?).into())
}

pub(super) fn getdel<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Take(args.key(1)?).into())
}

pub(super) fn strlen<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Length(args.key(1)?).into())
}

pub(super) fn mget<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::GetMany(args.keys(1)?).into())
}

pub(super) fn append<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Append {
        key: args.key(1)?,
        value: args.value(2)?,
    }
    .into())
}

pub(super) fn mset<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let (pairs, []) = args.from(1).as_chunks() else {
        return Err(args.arity());
    };
    let pairs = pairs
        .iter()
        .map(|[key, value]| Ok((args::key(key)?, args::value(value)?)))
        .collect::<Result<_, CommandError>>()?;
    Ok(Op::SetMany(pairs).into())
}

pub(super) fn incr<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    add(args, 1)
}

pub(super) fn decr<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    add(args, -1)
}

pub(super) fn incrby<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    add(args, args.integer(2)?)
}

pub(super) fn decrby<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let by = args.integer(2)?.checked_neg();
    add(
        args,
        by.ok_or_else(|| CommandError::other("ERR decrement would overflow"))?,
    )
}

fn add<'a>(args: &Args<'_, 'a>, by: i64) -> Read<'a> {
    Ok(Op::Add {
        key: args.key(1)?,
        by,
    }
    .into())
}

pub(super) fn set<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let mut condition = Condition::Always;
    let mut timing = Timing::Unsaid;
    let mut answer = SetAnswer::Status;
    let mut rest = args.from(3).iter().copied();
    while let Some(option) = rest.next() {
        if timing.take(option, "keepttl", &mut rest)? {
            continue;
        }
        if is(option, "get") {
            answer = SetAnswer::Old;
            continue;
        }
        let new = if is(option, "nx") {
            Condition::Absent
        } else if is(option, "xx") {
            Condition::Present
        } else if is(option, "ifeq") {
            Condition::Equals(rest.next().ok_or(CommandError::Syntax)?)
        } else {
            return Err(CommandError::Syntax);
        };
        if condition != Condition::Always && condition != new {
            return Err(CommandError::Syntax);
        }
        condition = new;
    }
    if let Condition::Equals(value) = condition {
        args::value(value)?;
    }
    let expiry = timing.expiry(Expiry::Never, Expiry::Keep, args.name())?;
    set_to(args, 2, condition, expiry, answer)
}

pub(super) fn setnx<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    set_to(args, 2, Condition::Absent, Expiry::Never, SetAnswer::Count)
}

pub(super) fn getset<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    set_to(args, 2, Condition::Always, Expiry::Never, SetAnswer::Old)
}

pub(super) fn setex<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    set_for(args, Form::SECONDS)
}

pub(super) fn psetex<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    set_for(args, Form::MILLISECONDS)
}

fn set_for<'a>(args: &Args<'_, 'a>, form: Form) -> Read<'a> {
    let expiry = form.positive(args.get(2)?, args.name())?;
    set_to(args, 3, Condition::Always, expiry, SetAnswer::Status)
}

fn set_to<'a>(
    args: &Args<'_, 'a>,
    value: usize,
    condition: Condition<'a>,
    expiry: Expiry,
    answer: SetAnswer,
) -> Read<'a> {
    Ok(Op::Set {
        key: args.key(1)?,
        value: args.value(value)?,
        condition,
        expiry,
        answer,
    }
    .into())
}

pub(super) fn getex<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let mut timing = Timing::Unsaid;
    let mut rest = args.from(2).iter().copied();
    while let Some(option) = rest.next() {
        if !timing.take(option, "persist", &mut rest)? {
            return Err(CommandError::Syntax);
        }
    }
    Ok(Op::GetAndExpire {
        key: args.key(1)?,
        expiry: timing.expiry(Expiry::Keep, Expiry::Never, args.name())?,
    }
    .into())
}
