//! Wakes JavaScript if its event loop is libuv's. Each ring, or several rings before the first is handled, takes one
//! iteration of the event loop. (A threadsafe function is called again and again in one iteration, a thousand times
//! if answers come as fast as they are taken. Timers and everything else then wait.)

use std::ptr;
use std::sync::{Arc, Mutex};

use napi::sys;

use super::uv::{Handle, HandleMemory, TYPE_ASYNC, Uv};
use crate::sync::lock;

pub(super) struct Bell {
    uv: Uv,
    /// Null once it has been taken down.
    hung: Mutex<*mut Hung>,
}

// SAFETY: the pointer is used under its lock only. Its target is used on the event loop's thread, except for the
// handle, which libuv allows any thread to ring while it is not closing.
unsafe impl Send for Bell {}
// SAFETY: as above.
unsafe impl Sync for Bell {}

/// libuv keeps it until it is closed.
struct Hung {
    memory: HandleMemory,
    heard: Box<dyn Fn()>,
    closed: Option<Box<dyn FnOnce()>>,
}

impl Bell {
    /// On the event loop's thread, where `heard` is called. It does not keep the loop alive.
    pub(super) fn hang(
        uv: Uv,
        event_loop: *mut sys::uv_loop_s,
        heard: impl Fn() + 'static,
    ) -> Option<Arc<Self>> {
        let memory = HandleMemory::new(&uv, TYPE_ASYNC);
        let hung = Box::into_raw(Box::new(Hung { memory, heard: Box::new(heard), closed: None }));
        // SAFETY: the handle has the size that libuv requires, and does not move until it is closed. This is its
        // loop's thread.
        unsafe {
            let handle = (*hung).memory.handle();
            if (uv.async_init)(event_loop, handle, on_ring) != 0 {
                drop(Box::from_raw(hung));
                return None;
            }
            (uv.set_data)(handle, hung.cast());
            (uv.unreference)(handle);
        }
        Some(Arc::new(Self { uv, hung: Mutex::new(hung) }))
    }

    /// From any thread. False if the bell has been taken down, so that no loop would be woken.
    pub(super) fn ring(&self) -> bool {
        let hung = lock(&self.hung);
        // SAFETY: it exists, and is not closing, while it is not null.
        !hung.is_null() && unsafe { (self.uv.async_send)((**hung).memory.handle()) == 0 }
    }

    /// On the event loop's thread, which calls `closed` when that is done.
    pub(super) fn take_down(&self, closed: impl FnOnce() + 'static) {
        let hung = std::mem::replace(&mut *lock(&self.hung), ptr::null_mut());
        if hung.is_null() {
            return closed();
        }
        // SAFETY: it is closed once: no thread finds it any more.
        unsafe {
            (*hung).closed = Some(Box::new(closed));
            (self.uv.close)((*hung).memory.handle(), on_closed);
        }
    }
}

unsafe extern "C" fn on_ring(handle: *mut Handle) {
    // SAFETY: libuv calls this on the loop's thread, with a handle that is not closed and holds what `hang` gave it.
    unsafe { ((**handle.cast::<*mut Hung>()).heard)() }
}

unsafe extern "C" fn on_closed(handle: *mut Handle) {
    // SAFETY: libuv no longer uses the handle, nor what `hang` gave it.
    let mut hung = unsafe { Box::from_raw(*handle.cast::<*mut Hung>()) };
    if let Some(closed) = hung.closed.take() {
        closed();
    }
}
