//! What wakes JavaScript where its event loop is libuv's: each ring, or several before it is heard, is one round of the
//! event loop. (A threadsafe function is called again and again in one round, a thousand times if answers come as fast as
//! they are taken; timers and everything else then wait.)

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

// SAFETY: the pointer is used under its lock only. What it points to is used on the event loop's thread, but for the
// handle, which libuv lets any thread ring while it is not closing.
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
        // SAFETY: the handle has the size that libuv asks for, stays where it is until it is closed, and this is its loop's
        // thread.
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

    /// From any thread. False where nobody would hear it.
    pub(super) fn ring(&self) -> bool {
        let hung = lock(&self.hung);
        // SAFETY: it is there, and not closing, while it is not null.
        !hung.is_null() && unsafe { (self.uv.async_send)((**hung).memory.handle()) == 0 }
    }

    /// On the event loop's thread, which says when that is done.
    pub(super) fn take_down(&self, closed: impl FnOnce() + 'static) {
        let hung = std::mem::replace(&mut *lock(&self.hung), ptr::null_mut());
        if hung.is_null() {
            return closed();
        }
        // SAFETY: it is closed once: nobody finds it any more.
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
    // SAFETY: libuv has let go of the handle, and of what `hang` gave it.
    let mut hung = unsafe { Box::from_raw(*handle.cast::<*mut Hung>()) };
    if let Some(closed) = hung.closed.take() {
        closed();
    }
}
