//! Watches the sockets of direct calls in the application's own event loop, so that the thread that waits for an
//! answer also reads it.
//!
//! * A socket is watched by a libuv handle of its own, on a descriptor of its own, from the first direct call until its
//!   connection ends.
//! * The handles are not referenced: an idle adapter lets the process exit.
//! * While the engine's calls do not go directly, a handle waits for nothing. The bell reports the connection's end.
//! * libuv requires every handle to be closed before an environment ends, and closes it asynchronously: hence the
//!   cleanup hook.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::Env;
use napi::sys;

use super::bell::Bell;
use super::bridge::Queue;
use super::uv::{Handle, HandleMemory, READABLE, TYPE_POLL, Uv};
use crate::engine::{Engine, Sight};

pub(super) struct Watch(Rc<Inner>);

struct Inner {
    uv: Uv,
    env: sys::napi_env,
    event_loop: *mut sys::uv_loop_s,
    queue: Arc<Queue>,
    /// The handles that are not closing.
    watched: RefCell<Vec<*mut Watched>>,
    /// How many handles are not closed.
    open: Cell<usize>,
    ending: Cell<bool>,
    cleanup: Cell<sys::napi_async_cleanup_hook_handle>,
    bell: RefCell<Option<Arc<Bell>>>,
}

/// One socket's handle, and its context. libuv keeps it until it is closed.
struct Watched {
    memory: HandleMemory,
    waits_for: Cell<c_int>,
    sight: Arc<Sight>,
    engine: Weak<Engine>,
    watch: Rc<Inner>,
}

impl Watch {
    /// None if the runtime has no event loop of libuv's.
    pub(super) fn new(env: Env, queue: &Arc<Queue>) -> Option<Self> {
        let uv = Uv::find()?;
        let mut event_loop = ptr::null_mut();
        // SAFETY: this is the environment's thread.
        let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), &mut event_loop) };
        if status != sys::Status::napi_ok || event_loop.is_null() {
            return None;
        }
        let inner = Rc::new(Inner {
            uv,
            env: env.raw(),
            event_loop,
            queue: queue.clone(),
            watched: RefCell::default(),
            open: Cell::new(0),
            ending: Cell::new(false),
            cleanup: Cell::new(ptr::null_mut()),
            bell: RefCell::default(),
        });
        let kept = Rc::into_raw(inner.clone()).cast_mut().cast::<c_void>();
        let mut cleanup = ptr::null_mut();
        // SAFETY: `kept` is released once, where the hook is removed.
        let status =
            unsafe { sys::napi_add_async_cleanup_hook(env.raw(), Some(clean_up), kept, &mut cleanup) };
        if status != sys::Status::napi_ok {
            // SAFETY: nothing has taken it.
            drop(unsafe { Rc::from_raw(kept.cast::<Inner>()) });
            return None;
        }
        inner.cleanup.set(cleanup);
        inner.hang_bell();
        Some(Self(inner))
    }

    pub(super) fn pump(&self, engine: &Arc<Engine>) {
        self.0.pump(engine);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Inner {
    /// Has the queue, and the end of connections, wake this event loop with a bell of its own.
    fn hang_bell(self: &Rc<Self>) {
        let listener = Rc::downgrade(self);
        let heard = move || {
            if let Some(inner) = listener.upgrade() {
                inner.close_ended();
                inner.queue.deliver(inner.env);
            }
        };
        if let Some(bell) = Bell::hang(self.uv, self.event_loop, heard) {
            self.open.set(self.open.get() + 1);
            self.bell.replace(Some(bell.clone()));
            self.queue.set_wakeup(move || bell.ring());
        }
    }

    /// Carries out the work that an engine has left for this thread, if any, and ensures that its sockets are watched.
    ///
    /// The resulting messages are not drained at once: if answers lead to calls that already have answers, the event
    /// loop would do nothing else.
    fn pump(self: &Rc<Self>, engine: &Arc<Engine>) {
        if engine.wants_pump() {
            self.queue.while_pumping(|| engine.pump());
            self.attend(engine);
            self.queue.wake_if_any();
        }
    }

    fn attend(self: &Rc<Self>, engine: &Arc<Engine>) {
        if self.ending.get() {
            return;
        }
        for sight in engine.sights() {
            if !sight.is_gone() && sight.adopt() {
                if let Some(bell) = self.bell.borrow().clone() {
                    sight.when_gone(move || _ = bell.ring());
                }
                self.open(sight, engine);
            }
        }
        // After the new ones: the bell does not report connections that have ended already.
        self.close_ended();
        let watched = self.watched.borrow();
        // SAFETY: the handles in the list are not closed.
        for watched in watched.iter().map(|watched| unsafe { &**watched }) {
            if watched.sight.is_watched() {
                watched.wait_for(READABLE);
            }
        }
    }

    /// Closes the handles of connections that have ended.
    fn close_ended(&self) {
        let has_ended = |watched: &Watched| watched.sight.is_gone() || watched.engine.strong_count() == 0;
        // SAFETY: the handles in the list are not closed.
        self.watched.borrow_mut().retain(|watched| match unsafe { &**watched } {
            watched if has_ended(watched) => {
                watched.close();
                false
            }
            _ => true,
        });
    }

    fn open(self: &Rc<Self>, sight: Arc<Sight>, engine: &Arc<Engine>) {
        let socket = sight.socket().as_raw_fd();
        let watched = Box::into_raw(Box::new(Watched {
            memory: HandleMemory::new(&self.uv, TYPE_POLL),
            waits_for: Cell::new(0),
            sight,
            engine: Arc::downgrade(engine),
            watch: self.clone(),
        }));
        // SAFETY: it does not move until it is closed.
        let opened = unsafe { &*watched };
        // SAFETY: the handle has the size that libuv requires, and this is its loop's thread.
        unsafe {
            if (self.uv.poll_init)(self.event_loop, opened.handle(), socket) != 0 {
                opened.sight.forsake();
                drop(Box::from_raw(watched));
                return;
            }
            (self.uv.set_data)(opened.handle(), watched.cast());
            (self.uv.unreference)(opened.handle());
        }
        self.open.set(self.open.get() + 1);
        self.watched.borrow_mut().push(watched);
    }

    /// Closes every handle, and lets the environment end when that is done.
    fn end(self: &Rc<Self>) {
        if self.ending.replace(true) {
            return;
        }
        if let Some(bell) = self.bell.take() {
            let inner = self.clone();
            bell.take_down(move || inner.closed_one());
        }
        let watched = self.watched.take();
        for watched in watched {
            // SAFETY: the handles that were in the list are not closed.
            unsafe { (*watched).close() };
        }
        self.end_if_closed();
    }

    fn closed_one(&self) {
        self.open.set(self.open.get() - 1);
        self.end_if_closed();
    }

    fn end_if_closed(&self) {
        if !self.ending.get() || self.open.get() > 0 {
            return;
        }
        let cleanup = self.cleanup.replace(ptr::null_mut());
        if !cleanup.is_null() {
            // SAFETY: both were made in `Watch::new`, and are released once.
            unsafe {
                sys::napi_remove_async_cleanup_hook(cleanup);
                Rc::decrement_strong_count(ptr::from_ref(self));
            }
        }
    }
}

impl Watched {
    fn handle(&self) -> *mut Handle {
        self.memory.handle()
    }

    fn wait_for(&self, events: c_int) {
        if self.waits_for.replace(events) == events {
            return;
        }
        let uv = self.watch.uv;
        // SAFETY: the handle is not closed, and this is its loop's thread.
        unsafe {
            match events {
                0 => (uv.poll_stop)(self.handle()),
                events => (uv.poll_start)(self.handle(), events, on_ready),
            }
        };
    }

    /// Has libuv close the handle. It is no longer in the list, or is being removed from it.
    fn close(&self) {
        self.sight.forsake();
        // SAFETY: it is closed once: the caller has removed it from the list.
        unsafe { (self.watch.uv.close)(self.handle(), on_closed) };
    }
}

unsafe extern "C" fn on_ready(handle: *mut Handle, status: c_int, _: c_int) {
    // SAFETY: libuv calls this on the loop's thread, with a handle that is not closed and holds what `open` gave it.
    let watched = unsafe { &*handle_data(handle) };
    let watch = watched.watch.clone();
    let engine = watched.engine.upgrade();
    if watched.sight.is_watched()
        && let Some(engine) = &engine
    {
        watch.queue.while_pumping(|| engine.pump_from(&watched.sight));
    }
    if watched.sight.is_gone() || engine.is_none() || status < 0 {
        watch.watched.borrow_mut().retain(|other| !ptr::eq(*other, watched));
        watched.close();
    } else if !watched.sight.is_watched() {
        // The worker reads now.
        watched.wait_for(0);
    }
    // JavaScript may end all this: from here on only what is held here is used.
    watch.queue.deliver(watch.env);
    if let Some(engine) = &engine {
        engine.callers_were_told();
        watch.pump(engine);
    }
}

unsafe extern "C" fn on_closed(handle: *mut Handle) {
    // SAFETY: libuv no longer uses the handle, nor what `open` gave it.
    let watched = unsafe { Box::from_raw(handle_data(handle)) };
    let watch = watched.watch.clone();
    drop(watched);
    watch.closed_one();
}

unsafe fn handle_data(handle: *mut Handle) -> *mut Watched {
    // libuv puts the data first, in every handle.
    // SAFETY: a handle is at least a pointer long.
    unsafe { *handle.cast::<*mut Watched>() }
}

unsafe extern "C" fn clean_up(_: sys::napi_async_cleanup_hook_handle, kept: *mut c_void) {
    // SAFETY: it is the reference that `Watch::new` gave away, taken back only when the hook is removed.
    let inner = unsafe {
        Rc::increment_strong_count(kept.cast::<Inner>());
        Rc::from_raw(kept.cast::<Inner>())
    };
    inner.end();
}
