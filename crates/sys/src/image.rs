//! Where the functions of this program are, as numbers that another process of the same program understands.
//!
//! A program is loaded at an address of its own in every process; the distance of a function from there is the same. It is a
//! number only for functions of the program itself, not of a shared library that happens to be loaded.

use std::ops::Range;
use std::ptr;

/// How far from the program's base the function at `address` is; `None` when it is not one of the program's own.
#[must_use]
pub fn offset_of(address: *const ()) -> Option<usize> {
    let image = Image::of_program();
    image.contains(address.addr()).then(|| address.expose_provenance().wrapping_sub(image.base))
}

/// The address at that distance from the program's base; `None` when the program has no code there.
///
/// Whether a function begins there, and which, is the caller's to know.
#[must_use]
pub fn address_of(offset: usize) -> Option<*const ()> {
    let image = Image::of_program();
    let address = image.base.wrapping_add(offset);
    image.contains(address).then(|| ptr::with_exposed_provenance(address))
}

/// Where the program is loaded, and which addresses are its code.
#[derive(Default)]
struct Image {
    base: usize,
    /// Linkers make one range, or a few.
    code: Vec<Range<usize>>,
}

impl Image {
    fn of_program() -> Self {
        let mut image = Self::default();
        // SAFETY: `first` has the type that is called for, does not unwind, and is given what it expects.
        unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut image).cast()) };
        image
    }

    fn contains(&self, address: usize) -> bool {
        self.code.iter().any(|range| range.contains(&address))
    }
}

/// Notes the first object of the loader's list, which is the program, and ends the iteration.
unsafe extern "C" fn first(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    image: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: `of_program` passes an `Image` that nobody else uses meanwhile; the loader passes a valid description, with as
    // many headers as it says.
    let (image, object, headers) = unsafe {
        let object = &*object;
        let count = usize::from(object.dlpi_phnum);
        (&mut *image.cast::<Image>(), object, std::slice::from_raw_parts(object.dlpi_phdr, count))
    };
    image.base = object.dlpi_addr as usize;
    for header in headers {
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0 {
            let start = image.base.wrapping_add(header.p_vaddr as usize);
            image.code.push(start..start.wrapping_add(header.p_memsz as usize));
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_functions_have_an_offset_and_come_back() {
        let own = offset_of as *const ();
        let offset = offset_of(own).unwrap();
        assert_eq!(address_of(offset), Some(own));
        let closure: fn(u32) -> u32 = |x| x + 1;
        assert!(offset_of(closure as *const ()).is_some());
    }

    #[test]
    fn what_is_not_the_programs_code_has_none() {
        assert_eq!(offset_of(libc::malloc as *const ()), None);
        assert_eq!(offset_of(&raw const *"text" as *const ()), None);
        assert_eq!(offset_of(ptr::null()), None);
        assert_eq!(address_of(usize::MAX), None);
        assert_eq!(address_of(1 << 46), None);
    }
}
