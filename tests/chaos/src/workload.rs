//! What a client asks for.

use crate::model::{KEYS, Key, LOCKS, Operation};
use crate::plan::Plan;
use crate::random::Random;
use crate::resp::Reply;
use std::collections::BTreeMap;

/// The number of groups that are in use during the whole campaign, from number 0 on.
const LASTING: u32 = 2;
/// The places of reads among the kinds of operations.
const GET: usize = 0;
const GET_ALL: usize = 8;

/// The operations of a client.
#[derive(Debug)]
pub struct Workload<'a> {
    plan: &'a Plan,
    client: u64,
    /// How many percent of the operations are reads, beside those of the mix.
    reads: u64,
    random: Random,
    /// The number of values so far, each of which is different.
    values: u64,
    /// The values that the client has last seen, for conditions.
    seen: BTreeMap<(u32, Key), String>,
}

impl<'a> Workload<'a> {
    /// Creates the operations of a client.
    pub fn new(plan: &'a Plan, (client, reads): (u64, u64)) -> Self {
        Self {
            plan,
            client,
            reads,
            random: Random::new(plan.seed, 100 + client),
            values: 0,
            seen: BTreeMap::new(),
        }
    }

    /// Returns the draws of the client.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Draws the next operation, and the group that it concerns at a time in milliseconds.
    pub fn draw(&mut self, now_ms: u64) -> (u32, Operation) {
        let plan = self.plan;
        let groups = u64::from(plan.groups);
        if self.random.happens(3) {
            let key = usize::try_from(self.random.below(3)).unwrap_or(0);
            let millis = self.random.between(50, 1_500);
            return (LOCKS, Operation::Lock(key, self.value(), millis));
        }
        let group = if self.random.happens(5) {
            self.random.below(LASTING.into())
        } else {
            let generation = now_ms.checked_div(plan.generation_ms).unwrap_or(0);
            u64::from(LASTING) + generation * groups + self.random.below(groups)
        };
        let group = u32::try_from(group).unwrap_or(0);
        let kind = self.kind();
        (group, self.operation(group, kind))
    }

    /// Draws a kind of operation.
    fn kind(&mut self) -> usize {
        if self.random.happens(self.reads) {
            return if self.random.happens(50) {
                GET
            } else {
                GET_ALL
            };
        }
        let mut left = self.random.below(self.plan.mix.iter().sum());
        for (kind, weight) in self.plan.mix.iter().enumerate() {
            match left.checked_sub(*weight) {
                Some(less) => left = less,
                None => return kind,
            }
        }
        0
    }

    /// Draws an operation of a kind. Of the keys of a group, the first is mostly a counter, the second a value with
    /// conditions, and the third a text that grows.
    fn operation(&mut self, group: u32, kind: usize) -> Operation {
        let stray = self.random.happens(5);
        let any = usize::try_from(self.random.below(3)).unwrap_or(0);
        let key = |usual: Key| if stray { any } else { usual };
        match kind {
            GET => Operation::Get(any),
            1 if any == 0 => Operation::Set(0, self.number()),
            1 => Operation::Set(any, self.value()),
            2 => Operation::SetNew(key(1), self.value()),
            3 => Operation::SetIfEqual(key(1), self.seen(group, key(1)), self.value()),
            4 => Operation::DeleteIfEqual(key(1), self.seen(group, key(1))),
            5 => Operation::Increment(key(0)),
            6 => Operation::Delete(any),
            7 => Operation::Append(key(2), self.value()),
            GET_ALL => Operation::GetAll((0..KEYS).collect()),
            _ => self.transaction(),
        }
    }

    /// Draws a transaction over several keys.
    fn transaction(&mut self) -> Operation {
        let value = self.value();
        Operation::Transaction(match self.random.below(4) {
            0 => vec![
                Operation::Set(1, value.clone()),
                Operation::Set(2, value),
                Operation::Increment(0),
            ],
            1 => vec![
                Operation::Increment(0),
                Operation::Append(2, value),
                Operation::Get(1),
            ],
            2 => vec![Operation::Get(2), Operation::SetNew(1, value)],
            _ => vec![
                Operation::Delete(1),
                Operation::Delete(2),
                Operation::GetAll((0..KEYS).collect()),
            ],
        })
    }

    /// Returns a text that no other client writes, and this one only once.
    fn value(&mut self) -> String {
        self.values += 1;
        format!("v{}.{};", self.client, self.values)
    }

    /// Returns a number that no other client writes, far above what increments reach.
    fn number(&mut self) -> String {
        self.values += 1;
        (self.client * 1_000_000_000 + self.values * 1_000).to_string()
    }

    fn seen(&mut self, group: u32, key: Key) -> String {
        let seen = self.seen.get(&(group, key)).cloned();
        seen.unwrap_or_else(|| "never written".to_owned())
    }

    /// Notes what a reply says about values.
    pub fn note(&mut self, group: u32, operation: &Operation, reply: &Reply) {
        if self.seen.len() > 64 {
            self.seen.clear();
        }
        match (operation, reply) {
            (Operation::Get(key), Reply::Text(value))
            | (
                Operation::Set(key, value)
                | Operation::SetNew(key, value)
                | Operation::SetIfEqual(key, _, value),
                Reply::Status(_),
            ) => {
                self.seen.insert((group, *key), value.clone());
            }
            (Operation::GetAll(keys), Reply::List(replies)) => {
                for (key, reply) in keys.iter().zip(replies) {
                    self.note(group, &Operation::Get(*key), reply);
                }
            }
            (Operation::Transaction(operations), Reply::List(replies)) => {
                for (operation, reply) in operations.iter().zip(replies) {
                    self.note(group, operation, reply);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    #[test]
    fn clients_draw_every_operation_and_conditions_that_hold() {
        let mut plan = Plan::draw(3, 1_000);
        plan.mix = [1; 10];
        let mut workload = Workload::new(&plan, (1, 0));
        let mut states = BTreeMap::<u32, State>::new();
        let (mut kinds, mut held) = (std::collections::BTreeSet::new(), 0);
        for time in 0..2_000 {
            let (group, operation) = workload.draw(time);
            let reply = operation.execute(states.entry(group).or_default());
            workload.note(group, &operation, &reply);
            let name = format!("{operation:?}");
            kinds.insert(name.split('(').next().unwrap().to_owned());
            held +=
                u32::from(matches!(operation, Operation::SetIfEqual(..)) && reply == Reply::ok());
        }
        assert_eq!(kinds.len(), 11, "{kinds:?}");
        assert!(held > 10, "{held}");
    }
}
