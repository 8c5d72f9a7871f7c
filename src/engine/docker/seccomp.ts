import profile from "./seccomp.json" with { type: "json" };

/**
 * Our seccomp profile, passed by value so that every engine has the same one whatever its age: an allow-list after
 * Docker's default of 26.1 (Apache-2.0), with what newer kernels added that is harmless, and without
 *  - everything that hangs on a capability which no task ever has (namespaces, mounts, bpf, modules, clocks),
 *  - every socket family but unix, IPv4, IPv6 and netlink (vsock reaches the hypervisor, alg is a road into the kernel),
 *  - `socketcall`, which would carry any family past that list in 32-bit programs, and `memfd_secret`.
 * io_uring, keyctl, userfaultfd and user namespaces are not on it.
 */
export const seccompOption = `seccomp=${JSON.stringify(profile)}`;
