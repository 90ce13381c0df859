//! Watches the sockets in the application's own event loop while the work is on the loop, so that the thread that waits
//! for an answer also reads it.
//!
//! * A socket is polled by a libuv handle of its own, on a descriptor of its own, from the first such call until its
//!   connection ends.
//! * The handles are not referenced: an idle adapter lets the process exit.
//! * While a socket is not on the loop, its handle waits for nothing. The wakeup reports the connection's end.
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

use super::queue::Queue;
use super::unwind::{caught, caught_or_again};
use super::uv::{Handle, HandleMemory, READABLE, TYPE_POLL, Uv};
use super::wakeup::Wakeup;
use crate::engine::{Engine, Readiness};

pub(super) struct Poller(Rc<Inner>);

struct Inner {
    uv: Uv,
    env: sys::napi_env,
    event_loop: *mut sys::uv_loop_s,
    queue: Arc<Queue>,
    /// The handles that are not closing.
    polled: RefCell<Vec<*mut PolledSocket>>,
    /// How many handles are not closed.
    open: Cell<usize>,
    ending: Cell<bool>,
    cleanup: Cell<sys::napi_async_cleanup_hook_handle>,
    wakeup: RefCell<Option<Arc<Wakeup>>>,
}

/// One socket's handle, and its context. libuv keeps it until it is closed.
struct PolledSocket {
    memory: HandleMemory,
    is_watching: Cell<bool>,
    readiness: Arc<Readiness>,
    engine: Weak<Engine>,
    poller: Rc<Inner>,
}

impl Poller {
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
            polled: RefCell::default(),
            open: Cell::new(0),
            ending: Cell::new(false),
            cleanup: Cell::new(ptr::null_mut()),
            wakeup: RefCell::default(),
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
        inner.open_wakeup();
        Some(Self(inner))
    }

    pub(super) fn poll(&self, engine: &Arc<Engine>) {
        self.0.poll(engine);
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Inner {
    /// Has the queue, and the end of connections, wake this event loop with a wakeup of its own.
    fn open_wakeup(self: &Rc<Self>) {
        let inner = Rc::downgrade(self);
        let callback = move || {
            if let Some(inner) = inner.upgrade() {
                inner.close_ended();
                inner.queue.deliver(inner.env);
            }
        };
        if let Some(wakeup) = Wakeup::open(self.uv, self.event_loop, callback) {
            self.open.set(self.open.get() + 1);
            self.wakeup.replace(Some(wakeup.clone()));
            self.queue.set_wakeup(move || wakeup.send());
        }
    }

    /// Carries out the work that an engine has left for this thread, if any, and ensures that its sockets are polled.
    ///
    /// The resulting messages are not drained at once: if answers lead to calls that already have answers, the event
    /// loop would do nothing else.
    fn poll(self: &Rc<Self>, engine: &Arc<Engine>) {
        if engine.wants_poll() {
            self.queue.while_polling(|| engine.poll(|| self.register_sockets(engine)));
            self.queue.wake_if_any();
        }
    }

    fn register_sockets(self: &Rc<Self>, engine: &Arc<Engine>) {
        if self.ending.get() {
            return;
        }
        for readiness in engine.sockets() {
            if !readiness.is_gone() && readiness.register() {
                if let Some(wakeup) = self.wakeup.borrow().clone() {
                    readiness.when_gone(move || _ = wakeup.send());
                }
                self.open(readiness, engine);
            }
        }
        // After the new ones: the wakeup does not report connections that have ended already.
        self.close_ended();
        let polled = self.polled.borrow();
        // SAFETY: the handles in the list are not closed.
        for polled in polled.iter().map(|polled| unsafe { &**polled }) {
            if polled.readiness.may_watch() {
                polled.watch();
            }
        }
    }

    /// Closes the handles of connections that have ended.
    fn close_ended(&self) {
        let has_ended =
            |polled: &PolledSocket| polled.readiness.is_gone() || polled.engine.strong_count() == 0;
        // SAFETY: the handles in the list are not closed.
        self.polled.borrow_mut().retain(|polled| match unsafe { &**polled } {
            polled if has_ended(polled) => {
                polled.close();
                false
            }
            _ => true,
        });
    }

    fn open(self: &Rc<Self>, readiness: Arc<Readiness>, engine: &Arc<Engine>) {
        let socket = readiness.socket().as_raw_fd();
        let polled = Box::into_raw(Box::new(PolledSocket {
            memory: HandleMemory::new(&self.uv, TYPE_POLL),
            is_watching: Cell::new(false),
            readiness,
            engine: Arc::downgrade(engine),
            poller: self.clone(),
        }));
        // SAFETY: it does not move until it is closed.
        let opened = unsafe { &*polled };
        // SAFETY: the handle has the size that libuv requires, and this is its loop's thread.
        unsafe {
            if (self.uv.poll_init)(self.event_loop, opened.handle(), socket) != 0 {
                opened.readiness.deregister();
                drop(Box::from_raw(polled));
                return;
            }
            (self.uv.set_data)(opened.handle(), polled.cast());
            (self.uv.unreference)(opened.handle());
        }
        self.open.set(self.open.get() + 1);
        self.polled.borrow_mut().push(polled);
    }

    /// Closes every handle, and lets the environment end when that is done.
    fn end(self: &Rc<Self>) {
        if self.ending.replace(true) {
            return;
        }
        if let Some(wakeup) = self.wakeup.take() {
            let inner = self.clone();
            wakeup.close(move || inner.closed_one());
        }
        let polled = self.polled.take();
        for polled in polled {
            // SAFETY: the handles that were in the list are not closed.
            unsafe { (*polled).close() };
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
            // SAFETY: both were made in `Poller::new`, and are released once.
            unsafe {
                sys::napi_remove_async_cleanup_hook(cleanup);
                Rc::decrement_strong_count(ptr::from_ref(self));
            }
        }
    }
}

impl PolledSocket {
    fn handle(&self) -> *mut Handle {
        self.memory.handle()
    }

    fn watch(&self) {
        if self.is_watching.get() {
            return;
        }
        // SAFETY: the handle is not closed, and this is its loop's thread.
        if unsafe { (self.poller.uv.poll_start)(self.handle(), READABLE, on_ready) } == 0 {
            self.is_watching.set(true);
            self.readiness.watch();
        }
    }

    fn unwatch(&self) {
        self.readiness.unwatch();
        if self.is_watching.replace(false) {
            // SAFETY: as for `watch`.
            unsafe { (self.poller.uv.poll_stop)(self.handle()) };
        }
    }

    /// Has libuv close the handle. It is no longer in the list, or is being removed from it.
    fn close(&self) {
        caught("close", || self.readiness.deregister());
        // SAFETY: it is closed once: the caller has removed it from the list.
        unsafe { (self.poller.uv.close)(self.handle(), on_closed) };
    }
}

unsafe extern "C" fn on_ready(handle: *mut Handle, status: c_int, _: c_int) {
    // SAFETY: libuv calls this on the loop's thread, with a handle that is not closed and holds what `open` gave it.
    let polled = unsafe { &*handle_data(handle) };
    let (poller, engine) = (polled.poller.clone(), polled.engine.clone());
    if !caught("on_ready", || read(polled, status)) {
        // The worker continues, and the answers that have been read are delivered.
        caught("on_ready", || {
            if let Some(engine) = engine.upgrade() {
                engine.leave_loop();
            }
            poller.queue.wake_if_any();
        });
    }
}

/// Reads what the server has sent, and delivers it. The socket is ready, or has failed.
fn read(polled: &PolledSocket, status: c_int) {
    let poller = polled.poller.clone();
    let engine = polled.engine.upgrade();
    if polled.readiness.is_on_loop()
        && let Some(engine) = &engine
    {
        #[cfg(feature = "panic-probe")]
        super::probe::count_read_on_loop();
        poller.queue.while_polling(|| engine.poll_from(&polled.readiness));
    }
    if polled.readiness.is_gone() || engine.is_none() || status < 0 {
        poller.polled.borrow_mut().retain(|other| !ptr::eq(*other, polled));
        polled.close();
    } else if !polled.readiness.is_on_loop() {
        // The worker reads now.
        polled.unwatch();
    }
    // JavaScript may end all this: from here on only what is held here is used.
    poller.queue.deliver(poller.env);
    if let Some(engine) = &engine {
        engine.callers_were_answered();
        poller.poll(engine);
    }
}

unsafe extern "C" fn on_closed(handle: *mut Handle) {
    // SAFETY: libuv no longer uses the handle, nor what `open` gave it.
    let polled = unsafe { Box::from_raw(handle_data(handle)) };
    let poller = polled.poller.clone();
    caught("on_closed", || drop(polled));
    caught("on_closed", || poller.closed_one());
}

unsafe fn handle_data(handle: *mut Handle) -> *mut PolledSocket {
    // libuv puts the data first, in every handle.
    // SAFETY: a handle is at least a pointer long.
    unsafe { *handle.cast::<*mut PolledSocket>() }
}

unsafe extern "C" fn clean_up(_: sys::napi_async_cleanup_hook_handle, kept: *mut c_void) {
    // SAFETY: it is the reference that `Poller::new` gave away, taken back only when the hook is removed.
    let inner = unsafe {
        Rc::increment_strong_count(kept.cast::<Inner>());
        Rc::from_raw(kept.cast::<Inner>())
    };
    caught_or_again("clean_up", || inner.end());
}
