//! Readers of the commands on keys, whatever their values are.

use super::args::{self, Args, is, shown};
use super::time::Form;
use super::{Command, CommandError};
use crate::op::{Condition, ExpireOnly, Op, Unit};
use crate::resp::{integer, unsigned};

type Read<'a> = Result<Command<'a>, CommandError>;

pub(super) fn del<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Delete(args.keys(1)?).into())
}

pub(super) fn exists<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Exists(args.keys(1)?).into())
}

pub(super) fn persist<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Persist(args.key(1)?).into())
}

pub(super) fn type_of<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Type(args.key(1)?).into())
}

pub(super) fn ttl<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    time_left(args, Unit::Seconds)
}

pub(super) fn pttl<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    time_left(args, Unit::Milliseconds)
}

fn time_left<'a>(args: &Args<'_, 'a>, unit: Unit) -> Read<'a> {
    Ok(Op::TimeLeft {
        key: args.key(1)?,
        unit,
    }
    .into())
}

pub(super) fn keys<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Op::Keys(args::pattern(args.get(1)?)?).into())
}

pub(super) fn delex<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let key = args.key(1)?;
    let condition = match args.from(2) {
        [] => Condition::Always,
        [word, value] if is(word, "ifeq") => Condition::Equals(args::value(value)?),
        [_, _] => return Err(CommandError::other("ERR Invalid condition. Use IFEQ")),
        _ => return Err(args.arity()),
    };
    Ok(Op::DeleteIf { key, condition }.into())
}

pub(super) fn scan<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let cursor = unsigned(args.get(1)?);
    let cursor = cursor.ok_or_else(|| CommandError::other("ERR invalid cursor"))?;
    let mut pattern = None;
    let mut count = 10;
    let mut rest = args.from(2);
    while let [option, value, after @ ..] = rest {
        rest = after;
        if is(option, "count") {
            let number = integer(value).ok_or(CommandError::NotAnInteger)?;
            if number < 1 {
                return Err(CommandError::Syntax);
            }
            count = u32::try_from(number).unwrap_or(u32::MAX);
        } else if is(option, "match") {
            pattern = Some(args::pattern(value)?);
        } else if !is(option, "type") {
            return Err(CommandError::Syntax);
        } else if !is(value, "string") {
            // All values are strings.
            let name = shown(value, 128);
            return Err(CommandError::other(format!(
                "ERR unknown type name '{name}'"
            )));
        }
    }
    if !rest.is_empty() {
        return Err(CommandError::Syntax);
    }
    Ok(Op::Scan {
        cursor,
        pattern,
        count,
    }
    .into())
}

pub(super) fn expire<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    expire_as(args, Form::SECONDS)
}

pub(super) fn pexpire<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    expire_as(args, Form::MILLISECONDS)
}

pub(super) fn expireat<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    expire_as(args, Form::AT_SECONDS)
}

pub(super) fn pexpireat<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    expire_as(args, Form::AT_MILLISECONDS)
}

fn expire_as<'a>(args: &Args<'_, 'a>, form: Form) -> Read<'a> {
    let only = expire_only(args.from(3))?;
    Ok(Op::Expire {
        key: args.key(1)?,
        expiry: form.any(args.get(2)?, args.name())?,
        only,
    }
    .into())
}

/// Reads the conditions of `EXPIRE`.
fn expire_only(options: &[&[u8]]) -> Result<ExpireOnly, CommandError> {
    let [mut nx, mut xx, mut gt, mut lt] = [false; 4];
    for option in options {
        let given = match option.to_ascii_lowercase().as_slice() {
            b"nx" => &mut nx,
            b"xx" => &mut xx,
            b"gt" => &mut gt,
            b"lt" => &mut lt,
            _ => {
                let option = shown(option, usize::MAX);
                return Err(CommandError::other(format!(
                    "ERR Unsupported option {option}"
                )));
            }
        };
        *given = true;
    }
    let incompatible = |options: &str| {
        let text = format!("ERR {options} options at the same time are not compatible");
        Err(CommandError::other(text))
    };
    match (nx, xx, gt, lt) {
        (true, true, _, _) | (true, _, true, _) | (true, _, _, true) => {
            incompatible("NX and XX, GT or LT")
        }
        (_, _, true, true) => incompatible("GT and LT"),
        // Redis has this one; an operation has one condition.
        (_, true, _, true) => incompatible("XX and LT"),
        // Only what expires can expire later, so that `XX` adds nothing.
        (_, _, true, _) => Ok(ExpireOnly::Later),
        (_, _, _, true) => Ok(ExpireOnly::Earlier),
        (true, ..) => Ok(ExpireOnly::Never),
        (_, true, ..) => Ok(ExpireOnly::Expiring),
        _ => Ok(ExpireOnly::Always),
    }
}
