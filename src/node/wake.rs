//! The weak threadsafe function that wakes JavaScript.
//!
//! napi-rs' own would do, except for two problems. They matter under jest, where a copy of the package is loaded for
//! every test file:
//!
//! * It names no async resource. So a tool that watches `async_hooks` for what keeps a process alive (`jest
//!   --detectOpenHandles`) must take it for an open handle, which it is not. This one's resource answers `hasRef()`
//!   as Node's own handles do.
//! * It holds the function that it calls for ever, and with that the whole context of a test file that is over. This
//!   one holds it only while calls are under way.
//!
//! Its lifetime is that of napi-rs' handle.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::{Env, Function, JsObjectValue, JsValue, Object, Result, Status};
use napi::threadsafe_function::ThreadsafeFunctionHandle;
use napi::{Error, sys};

use super::unwind::caught_or_again;

const NAME: &str = "goscope-postgres";

pub(super) struct Wake {
    handle: Arc<ThreadsafeFunctionHandle>,
    /// Reference to the function; weak unless held. It is deleted when the threadsafe function is finalized.
    function: sys::napi_ref,
    held: Arc<AtomicBool>,
}

// SAFETY: the threadsafe function may be called from any thread; that is its purpose. The reference is used only
// together with an `Env`, which exists on its own thread only.
unsafe impl Send for Wake {}
// SAFETY: as above.
unsafe impl Sync for Wake {}

impl Wake {
    pub(super) fn new(env: Env, function: &Function<'_, (), ()>) -> Result<Self> {
        let held = Arc::new(AtomicBool::new(false));
        let is_held = held.clone();
        let has_ref: Function<'_, (), bool> =
            env.create_function_from_closure("hasRef", move |_| Ok(is_held.load(Ordering::Relaxed)))?;
        let mut resource = Object::new(&env)?;
        resource.set_named_property("hasRef", has_ref)?;

        let env = env.raw();
        let handle = ThreadsafeFunctionHandle::null();
        let mut name = ptr::null_mut();
        // SAFETY: `NAME` is valid for its length, and copied.
        check(unsafe {
            sys::napi_create_string_utf8(env, NAME.as_ptr().cast::<c_char>(), NAME.len() as isize, &mut name)
        })?;
        let mut reference = ptr::null_mut();
        // SAFETY: the function is alive in this call's scope.
        check(unsafe { sys::napi_create_reference(env, function.raw(), 0, &mut reference) })?;
        let gone = Arc::downgrade(&handle).into_raw().cast_mut().cast::<c_void>();
        let mut raw = ptr::null_mut();
        // SAFETY: the values are alive in this call's scope. `gone` and `reference` are released once, in `finalize`
        // or below.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                env,
                ptr::null_mut(),
                resource.raw(),
                name,
                0,
                1,
                gone,
                Some(finalize),
                reference.cast(),
                Some(call),
                &mut raw,
            )
        };
        if let Err(error) = check(status) {
            // SAFETY: both were made above, and nothing has taken them.
            unsafe {
                drop(Weak::from_raw(gone.cast::<ThreadsafeFunctionHandle>()));
                sys::napi_delete_reference(env, reference);
            }
            return Err(error);
        }
        handle.set_raw(raw);
        // SAFETY: this is the environment's thread.
        check(unsafe { sys::napi_unref_threadsafe_function(env, raw) })?;
        Ok(Self { handle, function: reference, held })
    }

    /// Has JavaScript drain. Does nothing if the environment is ending, when there is no caller left to notify.
    pub(super) fn call(&self) {
        self.handle.with_read_aborted(|gone| {
            if !gone {
                let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
                // SAFETY: it is not finalized while the lock is held.
                unsafe { sys::napi_call_threadsafe_function(self.handle.get_raw(), ptr::null_mut(), mode) };
            }
        });
    }

    /// Has JavaScript drain at once, on its own thread and from its event loop. What the drain starts continues as
    /// after any other event.
    pub(super) fn call_back(&self, env: sys::napi_env) {
        let mut scope = ptr::null_mut();
        // SAFETY: a caller that has the environment's event loop is on its thread. The function's reference lives as
        // long as `self`.
        unsafe {
            if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
                return;
            }
            call_referenced(env, self.function, |this, callee, result| {
                sys::napi_make_callback(env, ptr::null_mut(), this, callee, 0, ptr::null(), result)
            });
            sys::napi_close_handle_scope(env, scope);
        }
    }

    /// Keeps the process alive, and the function.
    pub(super) fn hold(&self, env: Env) -> Result<()> {
        if self.held.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        // SAFETY: a caller that has an `Env` is on the thread of the environment, in which both live as long as
        // `self`.
        unsafe {
            check(sys::napi_reference_ref(env.raw(), self.function, ptr::null_mut()))?;
            check(sys::napi_ref_threadsafe_function(env.raw(), self.handle.get_raw()))
        }
    }

    /// Lets the process exit, and the function be collected.
    pub(super) fn let_go(&self, env: Env) -> Result<()> {
        if !self.held.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        // SAFETY: as in `hold`.
        unsafe {
            check(sys::napi_reference_unref(env.raw(), self.function, ptr::null_mut()))?;
            check(sys::napi_unref_threadsafe_function(env.raw(), self.handle.get_raw()))
        }
    }
}

unsafe extern "C" fn finalize(env: sys::napi_env, handle: *mut c_void, function: *mut c_void) {
    // SAFETY: it was made by `Wake::new`, and is released once.
    let handle = unsafe { Weak::from_raw(handle.cast::<ThreadsafeFunctionHandle>()) };
    caught_or_again("finalize", || {
        if let Some(handle) = handle.upgrade() {
            handle.with_write_aborted(|mut gone| *gone = true);
        }
    });
    // SAFETY: as above, on the environment's thread.
    unsafe { sys::napi_delete_reference(env, function.cast()) };
}

unsafe extern "C" fn call(env: sys::napi_env, _: sys::napi_value, function: *mut c_void, _: *mut c_void) {
    // This is how Node empties the queue of an environment that is ending.
    if env.is_null() {
        return;
    }
    caught_or_again("call", || {
        // SAFETY: Node calls this on the environment's thread, in a scope of its own, and not after `finalize`.
        unsafe {
            call_referenced(env, function.cast(), |this, callee, result| {
                sys::napi_call_function(env, this, callee, 0, ptr::null(), result)
            });
        }
    });
}

/// Calls the function that a reference refers to. No caller can catch what it throws.
///
/// # Safety
///
/// On the environment's thread, in a handle scope, while the reference lives.
unsafe fn call_referenced(
    env: sys::napi_env,
    function: sys::napi_ref,
    call: impl FnOnce(sys::napi_value, sys::napi_value, *mut sys::napi_value) -> sys::napi_status,
) {
    let [mut this, mut callee, mut result, mut thrown] = [ptr::null_mut(); 4];
    // SAFETY: as above.
    unsafe {
        let found = sys::napi_get_reference_value(env, function, &mut callee);
        // If it has been collected, no call is under way, and no caller waits.
        if found != sys::Status::napi_ok || callee.is_null() {
            return;
        }
        if sys::napi_get_global(env, &mut this) != sys::Status::napi_ok {
            return;
        }
        let status = call(this, callee, &mut result);
        if status == sys::Status::napi_pending_exception
            && sys::napi_get_and_clear_last_exception(env, &mut thrown) == sys::Status::napi_ok
        {
            sys::napi_fatal_exception(env, thrown);
        }
    }
}

fn check(status: sys::napi_status) -> Result<()> {
    match Status::from(status) {
        Status::Ok => Ok(()),
        status => {
            Err(Error::new(status, "the threadsafe function could not be made, held or let go".to_owned()))
        }
    }
}
