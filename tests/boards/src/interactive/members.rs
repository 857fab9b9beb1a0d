//! Changes of the members by hand: a board takes the place of another one, or any set of boards becomes the members.

use super::{Console, Failure, Number};
use synod::{Change, Epoch, NodeId, NodeSet, NodeState};

impl Console {
    /// Switches a board off for ever, and puts a new board with a new number in its place.
    pub(super) fn replace(&mut self, lost: Number) -> Result<String, Failure> {
        let kind = self.cluster.board(lost.into())?.name();
        let node = NodeId(lost.into());
        let source = self.source(Some(lost))?;
        let members = self.members_of(source)?.1;
        if !members.contains(node) {
            return Err(Failure::new(format!(
                "board {lost} is no member: the members are {}",
                list(members)
            )));
        }
        if self.cluster.is_on(lost.into())? {
            self.cluster.switch_off(lost.into())?;
        }
        let number = self.cluster.add()?;
        self.switch_on(number, true)?;
        let by = NodeId(number.into());
        let changed = self.client.replace((node, by), source, self.patience);
        let change = changed.map_err(|error| {
            Failure::new(format!(
                "board {number} is on and learns, but does not take the place of board {lost} ({kind}): {error}"
            ))
        })?;
        self.client.set_members(change.members)?;
        let votes = |state| matches!(state, NodeState::Voting | NodeState::Leading);
        let patience = self.patience;
        self.client
            .status_when(by, "voted", patience, |status| votes(status.state))?;
        let members = list(change.members);
        Ok(format!(
            "board {number} votes in the place of board {lost}: the members are {members}"
        ))
    }

    /// Makes these boards the members, and no others.
    pub(super) fn change_members(&mut self, members: NodeSet) -> Result<String, Failure> {
        let source = self.source(None)?;
        let (epoch, _) = self.members_of(source)?;
        let change = Change { epoch, members };
        let changed = self.client.reconfigure(change, self.patience)?;
        let epoch = changed.map_err(|error| Failure::new(error.to_string()))?;
        self.client.set_members(members)?;
        let members = list(members);
        Ok(format!("the members are {members} from epoch {epoch} on"))
    }

    /// Returns the board that knows of the latest epoch, other than `not`.
    pub(super) fn source(&mut self, not: Option<Number>) -> Result<NodeId, Failure> {
        let mut best = None;
        for board in self.boards() {
            if Some(board) == not || !self.cluster.is_on(board.into())? {
                continue;
            }
            let node = NodeId(board.into());
            let status = self.client.status(node);
            let knows = |state| !matches!(state, NodeState::Joining | NodeState::Halted);
            if let Some(status) = status.filter(|status| knows(status.state))
                && best.is_none_or(|(epoch, _)| status.epoch > epoch)
            {
                best = Some((status.epoch, node));
            }
        }
        let best = best.ok_or_else(|| Failure::new("no board answers that has joined the cluster"));
        best.map(|(_, node)| node)
    }

    fn members_of(&mut self, source: NodeId) -> Result<(Epoch, NodeSet), Failure> {
        let status = self.client.status(source);
        let status = status.ok_or_else(|| Failure::new(format!("{source} does not answer")))?;
        Ok((status.epoch, status.members))
    }
}

/// Returns the numbers of boards as text: `0, 1 and 3`.
pub(super) fn list(boards: NodeSet) -> String {
    let numbers: Vec<String> = boards.iter().map(|board| board.0.to_string()).collect();
    match numbers.as_slice() {
        [] => "nobody".into(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_listed_as_in_a_sentence() {
        let list = |boards: &[u16]| list(boards.iter().copied().map(NodeId).collect());
        assert_eq!(list(&[]), "nobody");
        assert_eq!(list(&[7]), "7");
        assert_eq!(list(&[3, 0]), "0 and 3");
        assert_eq!(list(&[0, 1, 3]), "0, 1 and 3");
    }
}
