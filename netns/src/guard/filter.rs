//! Filters of system calls (seccomp(2)): a search tree over the numbers, so that neither the kernel's
//! check of the filter nor a refused call takes long. It compares values, never what pointers point to.

use std::io;

use libc::sock_filter;

// Classic BPF (linux/bpf_common.h).
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
// Offsets in struct seccomp_data (linux/seccomp.h); the low half of an argument comes first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
/// AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 (linux/audit.h).
const NATIVE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

/// What to do about one system call; all others are let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) number: libc::c_long,
    pub(super) errno: i32,
    /// Which values the call is let through with; none, if there is no check.
    pub(super) check: Option<Check>,
}

/// A condition on the low 32 bits of one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) argument: u32,
    pub(super) test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// It is one of these.
    OneOf(Vec<u32>),
    /// It is none of these.
    NoneOf(Vec<u32>),
    /// The bits of the mask have this value.
    Masked { mask: u32, value: u32 },
}

/// Builds a filter. Numbers above `last` do not exist for the process; foreign calling conventions
/// end it.
pub(super) fn build(mut rules: Vec<Rule>, last: u32) -> Vec<sock_filter> {
    rules.sort_by_key(|rule| rule.number);
    let mut program = vec![
        instruction(LOAD, 0, 0, ARCHITECTURE),
        instruction(JUMP_IF_EQUAL, 1, 0, NATIVE),
        instruction(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        instruction(LOAD, 0, 0, NUMBER),
        instruction(JUMP_IF_GREATER, 0, 1, last),
        refuse(libc::ENOSYS),
    ];
    program.extend(tree(&runs(&rules)));
    program
}

/// Puts every thread of the process under the filter; they must be without one of their own.
pub(super) fn install(program: &[sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program and its instructions live here; the kernel copies both and writes neither.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

/// A run of numbers with the same answer, from its first one to the next run.
struct Run {
    first: u32,
    answer: Vec<sock_filter>,
}

/// Neighbours with the same answer are one run: the kernel's work at the installation grows with the program.
fn runs(rules: &[Rule]) -> Vec<Run> {
    let mut runs = vec![Run { first: 0, answer: vec![allow()] }];
    for rule in rules {
        let number = rule.number as u32;
        // Nothing is between two that follow each other.
        runs.pop_if(|last| last.first == number);
        runs.push(Run { first: number, answer: answer(rule) });
        runs.push(Run { first: number + 1, answer: vec![allow()] });
    }
    runs.dedup_by(|later, earlier| later.answer == earlier.answer);
    runs
}

fn tree(runs: &[Run]) -> Vec<sock_filter> {
    match runs {
        [] => vec![allow()],
        [run] => run.answer.clone(),
        _ => {
            let (left, right) = runs.split_at(runs.len() / 2);
            let pivot = right[0].first;
            let left = tree(left);
            let mut program = match u8::try_from(left.len()) {
                Ok(length) => vec![instruction(JUMP_IF_AT_LEAST, length, 0, pivot)],
                Err(_) => vec![
                    instruction(JUMP_IF_AT_LEAST, 0, 1, pivot),
                    instruction(JUMP, 0, 0, left.len() as u32),
                ],
            };
            program.extend(left);
            program.extend(tree(right));
            program
        }
    }
}

fn answer(rule: &Rule) -> Vec<sock_filter> {
    let Some(Check { argument, test }) = &rule.check else { return vec![refuse(rule.errno)] };
    let mut program = vec![instruction(LOAD, 0, 0, ARGUMENTS + 8 * argument)];
    let (values, fits, other) = match test {
        Test::OneOf(values) => (values.clone(), allow(), refuse(rule.errno)),
        Test::NoneOf(values) => (values.clone(), refuse(rule.errno), allow()),
        Test::Masked { mask, value } => {
            program.push(instruction(AND, 0, 0, *mask));
            (vec![*value], allow(), refuse(rule.errno))
        }
    };
    for (index, value) in values.iter().enumerate() {
        program.push(instruction(JUMP_IF_EQUAL, (values.len() - index) as u8, 0, *value));
    }
    program.extend([other, fits]);
    program
}

fn allow() -> sock_filter {
    instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW)
}

fn refuse(errno: i32) -> sock_filter {
    instruction(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32)
}

fn instruction(code: u16, if_true: u8, if_false: u8, k: u32) -> sock_filter {
    sock_filter { code, jt: if_true, jf: if_false, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer.
    fn verdict(program: &[sock_filter], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |taken: bool| usize::from(if taken { jt } else { jf });
            match code {
                LOAD => {
                    accumulator = match k {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        _ => arguments[((k - ARGUMENTS) / 8) as usize],
                    };
                }
                AND => accumulator &= k,
                JUMP => at += k as usize,
                JUMP_IF_EQUAL => at += jump(accumulator == k),
                JUMP_IF_GREATER => at += jump(accumulator > k),
                JUMP_IF_AT_LEAST => at += jump(accumulator >= k),
                RETURN => return k,
                other => panic!("instruction {other}"),
            }
        }
    }

    #[test]
    fn refuses_what_is_listed_and_nothing_else() {
        let plain = |number| Rule { number, errno: 1, check: None };
        let checked = |number, test| Rule { number, errno: 13, check: Some(Check { argument: 1, test }) };
        let program = build(
            vec![
                plain(7),
                plain(8),
                checked(9, Test::NoneOf(vec![4, 5])),
                plain(3),
                checked(20, Test::OneOf(vec![1, 2, 3])),
                checked(30, Test::Masked { mask: 0b110, value: 0b010 }),
            ],
            40,
        );
        let ask = |number, argument| verdict(&program, NATIVE, number, [0, argument, 0, 0, 0, 0]);
        let (allowed, refused) = (libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_ERRNO);
        for number in 0..=40 {
            let expected = match number {
                3 | 7 | 8 => refused | 1,
                20 => refused | 13,
                30 => refused | 13,
                _ => allowed,
            };
            assert_eq!(ask(number, 0), expected, "{number}");
        }
        assert_eq!((ask(9, 4), ask(9, 5), ask(9, 6)), (refused | 13, refused | 13, allowed));
        assert_eq!((ask(20, 1), ask(20, 3), ask(20, 4)), (allowed, allowed, refused | 13));
        assert_eq!((ask(30, 0b1010), ask(30, 0b110)), (allowed, refused | 13));
        assert_eq!(ask(41, 0), refused | libc::ENOSYS as u32);
        assert_eq!(ask(0x4000_0000, 0), refused | libc::ENOSYS as u32);
        assert_eq!(verdict(&program, NATIVE ^ 1, 0, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
