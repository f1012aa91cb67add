//! The allocator of a program that trains.
//!
//! The system's allocator maps and clears new memory for each buffer of megabytes: a third of a training step. jemalloc keeps
//! freed buffers and hands them out again by best fit, joined with their neighbours, so that few holes are left.

#[cfg(target_env = "msvc")]
pub use std::alloc::System as Allocator;

/// The allocator recommended for programs that train, meant for `#[global_allocator]`. It is the system's where jemalloc
/// cannot be built: with Microsoft's compilers.
#[cfg(not(target_env = "msvc"))]
pub use tikv_jemallocator::Jemalloc as Allocator;

/// Options of jemalloc, which it reads under this name: freed memory stays with the program, and all threads share one arena
/// for buffers from 256 KiB on.
#[cfg(not(target_env = "msvc"))]
#[unsafe(export_name = "_rjem_malloc_conf")]
static OPTIONS: Option<&'static std::ffi::c_char> = {
    let options = c"dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:262144";
    // SAFETY: The pointer is that of a static string. It is read as a C string, up to its end.
    Some(unsafe { &*options.as_ptr() })
};

#[cfg(all(test, not(target_env = "msvc")))]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator;

    /// The value of an option of jemalloc, which is a number of 64 bits.
    fn option(name: &std::ffi::CStr) -> i64 {
        let (mut value, mut len) = (0_i64, size_of::<i64>());
        // SAFETY: The result is written to `value`, of which the size is given; nothing is set.
        let failed = unsafe {
            let value = (&raw mut value).cast();
            tikv_jemalloc_sys::mallctl(name.as_ptr(), value, &raw mut len, std::ptr::null_mut(), 0)
        };
        assert_eq!((failed, len), (0, size_of::<i64>()), "{name:?}");
        value
    }

    #[test]
    fn the_options_are_those_of_jemalloc() {
        assert_eq!(option(c"opt.oversize_threshold"), 1 << 18);
        assert_eq!([option(c"opt.dirty_decay_ms"), option(c"opt.muzzy_decay_ms")], [-1, -1]);
    }
}
