use std::collections::VecDeque;

/// How many calls are remembered one by one; benches make millions.
pub(super) const KEPT: usize = 4096;

/// The last calls of a server, oldest first.
#[derive(Debug)]
pub(super) struct Log<T>(VecDeque<T>);

impl<T> Log<T> {
    pub(super) fn new() -> Log<T> {
        Log(VecDeque::new())
    }

    pub(super) fn push(&mut self, call: T) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }
}

impl<T: Clone> Log<T> {
    pub(super) fn calls(&self) -> Vec<T> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bench makes millions of calls: the last ones are kept.
    #[test]
    fn it_is_bounded() {
        let mut log = Log::new();
        (0..KEPT + 10).for_each(|call| log.push(call));
        assert_eq!((log.calls().len(), log.calls()[0]), (KEPT, 10));
    }
}
