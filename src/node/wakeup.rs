//! Wakes JavaScript if its event loop is libuv's. Each ring, or several rings before the first is handled, takes one
//! iteration of the event loop. (A threadsafe function is called again and again in one iteration, a thousand times
//! if answers come as fast as they are taken. Timers and everything else then wait.)

use std::ptr;
use std::sync::{Arc, Mutex};

use napi::sys;

use super::unwind::{caught, caught_or_again};
use super::uv::{Handle, HandleMemory, TYPE_ASYNC, Uv};
use crate::sync::lock;

pub(super) struct Wakeup {
    uv: Uv,
    /// Null once it has been closed.
    shared: Mutex<*mut Shared>,
}

// SAFETY: the pointer is used under its lock only. Its target is used on the event loop's thread, except for the
// handle, which libuv allows any thread to ring while it is not closing.
unsafe impl Send for Wakeup {}
// SAFETY: as above.
unsafe impl Sync for Wakeup {}

/// libuv keeps it until it is closed.
struct Shared {
    memory: HandleMemory,
    callback: Box<dyn Fn()>,
    closed: Option<Box<dyn FnOnce()>>,
}

impl Wakeup {
    /// On the event loop's thread, where `callback` is called. It does not keep the loop alive.
    pub(super) fn open(
        uv: Uv,
        event_loop: *mut sys::uv_loop_s,
        callback: impl Fn() + 'static,
    ) -> Option<Arc<Self>> {
        let memory = HandleMemory::new(&uv, TYPE_ASYNC);
        let shared = Box::into_raw(Box::new(Shared { memory, callback: Box::new(callback), closed: None }));
        // SAFETY: the handle has the size that libuv requires, and does not move until it is closed. This is its
        // loop's thread.
        unsafe {
            let handle = (*shared).memory.handle();
            if (uv.async_init)(event_loop, handle, on_wakeup) != 0 {
                drop(Box::from_raw(shared));
                return None;
            }
            (uv.set_data)(handle, shared.cast());
            (uv.unreference)(handle);
        }
        Some(Arc::new(Self { uv, shared: Mutex::new(shared) }))
    }

    /// From any thread. False if it has been closed, so that no loop would be woken.
    pub(super) fn send(&self) -> bool {
        let shared = lock(&self.shared);
        // SAFETY: it exists, and is not closing, while it is not null.
        !shared.is_null() && unsafe { (self.uv.async_send)((**shared).memory.handle()) == 0 }
    }

    /// On the event loop's thread, which calls `closed` when that is done.
    pub(super) fn close(&self, closed: impl FnOnce() + 'static) {
        let shared = std::mem::replace(&mut *lock(&self.shared), ptr::null_mut());
        if shared.is_null() {
            return closed();
        }
        // SAFETY: it is closed once: no thread finds it any more.
        unsafe {
            (*shared).closed = Some(Box::new(closed));
            (self.uv.close)((*shared).memory.handle(), on_closed);
        }
    }
}

unsafe extern "C" fn on_wakeup(handle: *mut Handle) {
    // SAFETY: libuv calls this on the loop's thread, with a handle that is not closed and holds what `open` gave it.
    let callback = unsafe { &(**handle.cast::<*mut Shared>()).callback };
    caught_or_again("on_wakeup", callback);
}

unsafe extern "C" fn on_closed(handle: *mut Handle) {
    // SAFETY: libuv no longer uses the handle, nor what `open` gave it.
    let mut shared = unsafe { Box::from_raw(*handle.cast::<*mut Shared>()) };
    let closed = shared.closed.take();
    caught("on_closed", || drop(shared));
    if let Some(closed) = closed {
        caught("on_closed", closed);
    }
}
