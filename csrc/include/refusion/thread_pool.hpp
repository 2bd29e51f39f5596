#pragma once

#include <cstddef>
#include <functional>

namespace refusion {

// Number of threads that one call may use, the calling one included. At first the number of processors that
// this process may run on, at most 16: the operations are bound by memory, and more threads only wait for it.
int thread_count();

// Throws std::invalid_argument if count < 1. Calls under way finish with the threads they have.
void set_thread_count(int count);

// Calls body(begin, end) for bands that together cover [0, size), each of them `band` long (the last may be
// shorter). The calling thread takes part, and does all of it where there is one band only. Any number of
// threads may call at once; they share the pool. After fork() the child gets a pool of its own on its first
// call. The body must not throw, and must not call parallel_for. At most `threads` take part; 0: all.
void parallel_for(std::ptrdiff_t size, std::ptrdiff_t band,
                  const std::function<void(std::ptrdiff_t, std::ptrdiff_t)>& body, int threads = 0);

// Same, for the rows of an image: bands of about 32 Ki pixels, below which waking a thread costs more than
// it brings.
void parallel_for_rows(std::ptrdiff_t height, std::ptrdiff_t width,
                       const std::function<void(std::ptrdiff_t, std::ptrdiff_t)>& body);

}  // namespace refusion
