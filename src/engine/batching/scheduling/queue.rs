//! Requests in line, and how many items they have.

use std::collections::VecDeque;

use crate::engine::batching::scheduling::scheduled::Scheduled;

pub(crate) struct Queue<R> {
    requests: VecDeque<R>,
    items: usize,
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Self { requests: VecDeque::new(), items: 0 }
    }
}

impl<R: Scheduled> Queue<R> {
    pub(crate) fn push_back(&mut self, request: R) {
        self.items += request.items();
        self.requests.push_back(request);
    }

    pub(crate) fn push_front(&mut self, request: R) {
        self.items += request.items();
        self.requests.push_front(request);
    }

    pub(crate) fn front(&self) -> Option<&R> {
        self.requests.front()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.requests.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// How many items its requests have.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// The first requests, with at most so many items; at least one request, if there is any.
    pub(crate) fn take(&mut self, most: usize) -> Vec<R> {
        let (mut requests, mut items) = (0, 0);
        for request in &self.requests {
            if requests > 0 && items + request.items() > most {
                break;
            }
            requests += 1;
            items += request.items();
        }
        self.items -= items;
        self.requests.drain(..requests).collect()
    }

    pub(crate) fn into_requests(self) -> impl Iterator<Item = R> {
        self.requests.into_iter()
    }
}
