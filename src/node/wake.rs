//! The weak threadsafe function that wakes JavaScript.
//!
//! napi-rs' own would do, but for one thing: it names no async resource, and so whoever watches `async_hooks` for what
//! keeps a process alive (`jest --detectOpenHandles`) must take it for an open handle, which it is not. This one's
//! resource comes from JavaScript, and answers `hasRef()` as Node's own handles do. Its life is napi-rs' handle's.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::{Env, Function, JsValue, Object, Result, Status};
use napi::threadsafe_function::ThreadsafeFunctionHandle;
use napi::{Error, sys};

const NAME: &str = "goscope-postgres";

pub(super) struct Wake(Arc<ThreadsafeFunctionHandle>);

// SAFETY: the function is called from any thread, which is what it is for, and held and let go with an `Env` at hand,
// which is there on its own thread only.
unsafe impl Send for Wake {}
// SAFETY: as above.
unsafe impl Sync for Wake {}

impl Wake {
    pub(super) fn new(env: Env, function: &Function<'_, (), ()>, resource: &Object<'_>) -> Result<Self> {
        let env = env.raw();
        let handle = ThreadsafeFunctionHandle::null();
        let mut name = ptr::null_mut();
        // SAFETY: `NAME` is valid for its length, and copied.
        check(unsafe {
            sys::napi_create_string_utf8(env, NAME.as_ptr().cast::<c_char>(), NAME.len() as isize, &mut name)
        })?;
        let gone = Arc::downgrade(&handle).into_raw().cast_mut().cast::<c_void>();
        let mut raw = ptr::null_mut();
        // SAFETY: the values are alive in this call's scope; `gone` is given back once, to `finalize` or below.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                env,
                function.raw(),
                resource.raw(),
                name,
                0,
                1,
                gone,
                Some(finalize),
                ptr::null_mut(),
                Some(call),
                &mut raw,
            )
        };
        if let Err(error) = check(status) {
            // SAFETY: it was made above, and nobody has taken it.
            drop(unsafe { Weak::from_raw(gone.cast::<ThreadsafeFunctionHandle>()) });
            return Err(error);
        }
        handle.set_raw(raw);
        // SAFETY: this is the environment's thread.
        check(unsafe { sys::napi_unref_threadsafe_function(env, raw) })?;
        Ok(Self(handle))
    }

    /// Has JavaScript drain. Does nothing where the environment is going away, and nobody is left to be told.
    pub(super) fn call(&self) {
        self.0.with_read_aborted(|gone| {
            if !gone {
                let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
                // SAFETY: it is not finalized while the lock is held.
                unsafe { sys::napi_call_threadsafe_function(self.0.get_raw(), ptr::null_mut(), mode) };
            }
        });
    }

    /// Keeps the process alive.
    pub(super) fn hold(&self, env: Env) -> Result<()> {
        // SAFETY: whoever has an `Env` is on the thread of the environment, in which this lives as long as `self`.
        check(unsafe { sys::napi_ref_threadsafe_function(env.raw(), self.0.get_raw()) })
    }

    /// Lets the process exit.
    pub(super) fn let_go(&self, env: Env) -> Result<()> {
        // SAFETY: as in `hold`.
        check(unsafe { sys::napi_unref_threadsafe_function(env.raw(), self.0.get_raw()) })
    }
}

unsafe extern "C" fn finalize(_env: sys::napi_env, handle: *mut c_void, _hint: *mut c_void) {
    // SAFETY: it is what `Wake::new` made of its handle, given back once.
    if let Some(handle) = unsafe { Weak::from_raw(handle.cast::<ThreadsafeFunctionHandle>()) }.upgrade() {
        handle.with_write_aborted(|mut gone| *gone = true);
    }
}

unsafe extern "C" fn call(
    env: sys::napi_env,
    function: sys::napi_value,
    _context: *mut c_void,
    _data: *mut c_void,
) {
    // Node empties the queue of an environment that is going away with neither.
    if env.is_null() || function.is_null() {
        return;
    }
    let [mut this, mut result, mut thrown] = [ptr::null_mut(); 3];
    // SAFETY: Node calls this on the environment's thread, in a scope of its own, with a function of that environment.
    unsafe {
        if sys::napi_get_undefined(env, &mut this) != sys::Status::napi_ok {
            return;
        }
        let status = sys::napi_call_function(env, this, function, 0, ptr::null(), &mut result);
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
