//! The few functions of libuv that watch a socket and wake its loop, as the running program provides them. Node-API
//! guarantees its event loop, but not these functions. A runtime that lacks them is served without.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::mem::transmute_copy;

use napi::sys;

pub(super) enum Handle {}

pub(super) type OnReady = unsafe extern "C" fn(handle: *mut Handle, status: c_int, events: c_int);
pub(super) type OnRing = unsafe extern "C" fn(handle: *mut Handle);
pub(super) type OnClosed = unsafe extern "C" fn(handle: *mut Handle);

pub(super) const READABLE: c_int = 1;

/// `UV_ASYNC` and `UV_POLL` of `uv_handle_type`, which libuv 1 keeps for its binary interface.
pub(super) const TYPE_ASYNC: c_uint = 1;
pub(super) const TYPE_POLL: c_uint = 8;

#[derive(Clone, Copy)]
pub(super) struct Uv {
    pub(super) poll_init: unsafe extern "C" fn(*mut sys::uv_loop_s, *mut Handle, c_int) -> c_int,
    pub(super) poll_start: unsafe extern "C" fn(*mut Handle, c_int, OnReady) -> c_int,
    pub(super) poll_stop: unsafe extern "C" fn(*mut Handle) -> c_int,
    pub(super) async_init: unsafe extern "C" fn(*mut sys::uv_loop_s, *mut Handle, OnRing) -> c_int,
    pub(super) async_send: unsafe extern "C" fn(*mut Handle) -> c_int,
    pub(super) close: unsafe extern "C" fn(*mut Handle, OnClosed),
    pub(super) unreference: unsafe extern "C" fn(*mut Handle),
    pub(super) set_data: unsafe extern "C" fn(*mut Handle, *mut c_void),
    handle_size: unsafe extern "C" fn(c_uint) -> usize,
}

impl Uv {
    pub(super) fn find() -> Option<Self> {
        // SAFETY: the fields' types are those that libuv's documentation gives these functions since 1.19.
        unsafe {
            Some(Self {
                poll_init: function(c"uv_poll_init")?,
                poll_start: function(c"uv_poll_start")?,
                poll_stop: function(c"uv_poll_stop")?,
                async_init: function(c"uv_async_init")?,
                async_send: function(c"uv_async_send")?,
                close: function(c"uv_close")?,
                unreference: function(c"uv_unref")?,
                set_data: function(c"uv_handle_set_data")?,
                handle_size: function(c"uv_handle_size")?,
            })
        }
    }
}

/// Memory for a handle, of the size that the running libuv requires. libuv writes to it while this side holds only
/// shared references.
pub(super) struct HandleMemory(Box<[UnsafeCell<u64>]>);

impl HandleMemory {
    pub(super) fn new(uv: &Uv, handle_type: c_uint) -> Self {
        // SAFETY: it reads only its argument.
        let bytes = unsafe { (uv.handle_size)(handle_type) };
        // In machine words, for their alignment.
        Self((0..bytes.div_ceil(size_of::<u64>())).map(|_| UnsafeCell::new(0)).collect())
    }

    pub(super) fn handle(&self) -> *mut Handle {
        UnsafeCell::raw_get(self.0.as_ptr()).cast()
    }
}

/// # Safety
///
/// `F` must be the type of the function of that name.
unsafe fn function<F>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    let name: *const c_char = name.as_ptr();
    // SAFETY: the name ends in a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name) };
    // SAFETY: it is as long as a pointer, and not null; the caller promises the rest.
    (!found.is_null()).then(|| unsafe { transmute_copy(&found) })
}
