//! Memory given back: what the allocator keeps free, and the pages of the program that were needed once.

use std::ffi::{c_int, c_void};

use rustix::io::Errno;

use crate::result::check;

/// Gives the free memory of the heap back to the kernel.
pub fn trim_heap() {
    // SAFETY: the call takes a number, and touches only what the allocator knows to be free.
    unsafe { libc::malloc_trim(0) };
}

/// Takes the pages of the own executable out of the resident set; those that are used again come back from the page cache.
///
/// Code and constants only: parts that can be written have what no file has.
///
/// # Errors
/// When the kernel refuses (locked memory, `EINVAL`).
pub fn forget_program() -> Result<(), Errno> {
    let mut outcome: Result<(), Errno> = Ok(());
    // SAFETY: `forget_segments` has the signature that is asked for, and treats the last argument as what it is here.
    unsafe { libc::dl_iterate_phdr(Some(forget_segments), (&raw mut outcome).cast()) };
    outcome
}

/// Forgets the segments of one object that were never writable, and ends the walk: the first object is the program.
unsafe extern "C" fn forget_segments(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    outcome: *mut c_void,
) -> c_int {
    // SAFETY: the walk passes a valid object, alive for this call.
    let object = unsafe { &*object };
    // SAFETY: the object says where its program headers stand, and how many there are; they live as long as it does.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    let constant = |header: &&libc::Elf64_Phdr| {
        header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0
    };
    let results = headers.iter().filter(constant).map(|header| {
        // A mapping begins with a page; what of the file stands before the segment is constant as well.
        let page = rustix::param::page_size() as u64;
        let start = (object.dlpi_addr + header.p_vaddr) / page * page;
        let end = object.dlpi_addr + header.p_vaddr + header.p_memsz;
        forget(start, end - start)
    });
    let result = results.collect();
    // SAFETY: `forget_program` passes this pointer, and nothing else uses it meanwhile.
    unsafe { *outcome.cast::<Result<(), Errno>>() = result };
    1
}

fn forget(start: u64, length: u64) -> Result<(), Errno> {
    let (start, length) = (start as *mut c_void, usize::try_from(length).unwrap_or(0));
    // SAFETY: the range is of a file and was never writable, so that every page can be had again as it was.
    let result = unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) };
    check(result.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The resident pages of the mappings of this program that nobody may write, in KiB.
    fn resident_of_program() -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let own = std::env::current_exe().unwrap().display().to_string();
        let mut inside = false;
        let mut sum = 0;
        for line in maps.lines() {
            if line.contains('-')
                && line.contains(' ')
                && !line.starts_with(|c: char| c.is_uppercase())
            {
                inside = line.ends_with(&own) && line.contains(" r-xp ");
            } else if let Some(rest) = line.strip_prefix("Rss:").filter(|_| inside) {
                let number = rest.trim().trim_end_matches(" kB");
                sum += number.parse::<u64>().unwrap();
            }
        }
        sum
    }

    #[test]
    fn a_program_goes_on_after_its_pages_were_forgotten() {
        let numbers: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let before = resident_of_program();
        forget_program().unwrap();
        let after = resident_of_program();
        assert!(after < before, "{after} KiB of {before}");
        drop(numbers);
        trim_heap();
        let again: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        assert_eq!(again.last().map(String::as_str), Some("999"));
    }
}
