/* System calls by every entry there is, with nothing of libc's in between. */
#ifndef ABI_H
#define ABI_H

#if defined(__x86_64__)
/* The 64-bit entry. The number is not cut or checked on the way. */
static inline long call64(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* A call whose arguments mean nothing to any call. */
static inline long refused64(long nr)
{
	return call64(nr, -1, -1, -1, -1, -1, -1);
}
#endif

/* The 32-bit entry, from 64-bit code too. */
static inline int refused32(int nr)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"(nr), "b"(-1), "c"(-1), "d"(-1)
#if defined(__x86_64__)
			 : "r8", "r9", "r10", "r11",
			   "memory");
#else
			 : "memory");
#endif
	return result;
}

#endif
