//! Reads of a whole table among the writes of its keys.
//!
//! A scan waits only for the writes that came before it. Calls that come after a scan do not wait for it, except for
//! a write of the whole table, such as `clear`: that waits for the scans that run. So a long scan delays no call on a
//! key, and a scan that waits for a blocked write delays nothing.
//!
//! The writes that have not ended are counted in sections: each section is the writes between one scan and the scan
//! before it. A scan is admitted when its own section and all earlier ones are empty. That costs a write one look-up.

use std::collections::VecDeque;

#[derive(Default)]
pub(crate) struct Scans {
    /// Scans that have been admitted and have not ended.
    running: u32,
    /// Writes that no scan waits for.
    later_writes: u32,
    /// In order of arrival. Few lines have any.
    sections: Option<Box<Sections>>,
}

#[derive(Default)]
struct Sections {
    list: VecDeque<Section>,
}

/// Writes, and the scans that came after them and before the next write.
struct Section {
    writes: u32,
    scans: Vec<u64>,
}

impl Section {
    /// The first of its scans: the writes of this section have smaller numbers.
    fn end(&self) -> u64 {
        self.scans.first().copied().unwrap_or_default()
    }
}

impl Scans {
    pub(crate) fn are_running(&self) -> bool {
        self.running > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running == 0 && self.sections.is_none() && self.later_writes == 0
    }

    /// Takes a scan's place. Returns whether it need not wait.
    pub(crate) fn enter(&mut self, number: u64) -> bool {
        let writes = std::mem::take(&mut self.later_writes);
        if writes == 0 && self.sections.is_none() {
            self.running += 1;
            return true;
        }
        let sections = &mut self.sections.get_or_insert_default().list;
        match sections.back_mut().filter(|_| writes == 0) {
            Some(last) => last.scans.push(number),
            None => sections.push_back(Section { writes, scans: vec![number] }),
        }
        false
    }

    pub(crate) fn leave(&mut self) {
        self.running -= 1;
    }

    pub(crate) fn note_write(&mut self) {
        self.later_writes += 1;
    }

    /// The write with this number has ended. Returns the scans that this admits.
    pub(crate) fn write_is_over(&mut self, number: u64) -> Vec<u64> {
        let Some(Sections { list: sections }) = self.sections.as_deref_mut() else {
            self.later_writes -= 1;
            return Vec::new();
        };
        let at = sections.partition_point(|section| section.end() < number);
        match sections.get_mut(at) {
            Some(section) => section.writes -= 1,
            None => self.later_writes -= 1,
        }
        let mut admitted = Vec::new();
        while sections.front().is_some_and(|section| section.writes == 0) {
            admitted.extend(sections.pop_front().into_iter().flat_map(|section| section.scans));
        }
        if sections.is_empty() {
            self.sections = None;
        }
        self.running += admitted.len() as u32;
        admitted
    }
}
