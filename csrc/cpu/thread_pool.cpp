#include "refusion/thread_pool.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#define REFUSION_POSIX 1
#include <pthread.h>
#include <signal.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace refusion {
namespace {

using Body = std::function<void(std::ptrdiff_t, std::ptrdiff_t)>;

constexpr int kMaxDefaultThreads = 16;
constexpr std::ptrdiff_t kPixelsPerBand = 32 * 1024;
constexpr int kSpins = 2000;  // 30 to 100 microseconds, the time of one to three bands

int processors() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        return std::max(1, CPU_COUNT(&set));
    }
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Tells the processor that this is a waiting loop.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// One parallel_for. It lives on the caller's stack: the caller leaves only when no worker holds it.
class Job {
  public:
    Job(std::ptrdiff_t size, std::ptrdiff_t band, const Body& body, std::ptrdiff_t helpers)
        : size_(size), band_(band), body_(body), helpers_wanted_(helpers) {}

    // Takes bands until none is left.
    void work() {
        for (;;) {
            const std::ptrdiff_t begin = next_.fetch_add(band_, std::memory_order_relaxed);
            if (begin >= size_) {
                return;
            }
            body_(begin, std::min(begin + band_, size_));
        }
    }

    // Notes that one more worker comes, and tells whether it was the last one that is wanted. With the pool's
    // mutex held.
    bool last_helper() { return --helpers_wanted_ <= 0; }

    // Workers inside work(). Changed with the pool's mutex held; the job is not touched by a worker after it
    // has taken itself off, so that the caller may read 0 without the mutex and leave.
    std::atomic<int> workers{0};

  private:
    const std::ptrdiff_t size_;
    const std::ptrdiff_t band_;
    const Body& body_;
    std::ptrdiff_t helpers_wanted_;
    std::atomic<std::ptrdiff_t> next_{0};
};

// Keeps the signals of the process away from the threads started meanwhile: a Ctrl-C that lands on a worker
// would not wake Python's main thread.
class SignalsBlocked {
  public:
#if defined(REFUSION_POSIX)
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;

  public:
#else
    SignalsBlocked() = default;
#endif
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
};

class ThreadPool {
  public:
    explicit ThreadPool(int workers) {
        const SignalsBlocked blocked;
        try {
            for (int i = 0; i < workers; ++i) {
                threads_.emplace_back([this] { serve(); });
            }
        } catch (const std::system_error&) {
            // The system allows no more threads: those that started, and the calling thread, do the work.
        }
    }

    ~ThreadPool() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        work_or_stop_.notify_all();
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }

    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    std::ptrdiff_t workers() const { return static_cast<std::ptrdiff_t>(threads_.size()); }

    void run(Job& job, std::ptrdiff_t helpers) {
        {
            const std::lock_guard lock(mutex_);
            jobs_.push_back(&job);
        }
        for (std::ptrdiff_t i = 0; i < helpers; ++i) {
            work_or_stop_.notify_one();
        }
        job.work();
        std::unique_lock lock(mutex_);
        drop(job);
        lock.unlock();
        // The last bands are done within microseconds, but a thread that sleeps on a busy machine gets its
        // processor back only milliseconds later.
        for (int spin = 0; spin < kSpins; ++spin) {
            if (job.workers.load(std::memory_order_acquire) == 0) {
                return;
            }
            relax();
        }
        lock.lock();
        job_left_.wait(lock, [&job] { return job.workers.load(std::memory_order_relaxed) == 0; });
    }

  private:
    void serve() {
        std::unique_lock lock(mutex_);
        for (;;) {
            work_or_stop_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
            if (jobs_.empty()) {
                return;
            }
            Job& job = *jobs_.front();
            job.workers.fetch_add(1, std::memory_order_relaxed);
            if (job.last_helper()) {
                drop(job);
            }
            lock.unlock();
            job.work();
            lock.lock();
            drop(job);
            if (job.workers.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                job_left_.notify_all();
            }
        }
    }

    // Takes a job that needs nobody else from the queue, unless somebody has; with the mutex held.
    void drop(Job& job) { jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), &job), jobs_.end()); }

    std::mutex mutex_;
    std::condition_variable work_or_stop_;
    std::condition_variable job_left_;
    std::deque<Job*> jobs_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

// The pool of this process, made on first use. Whoever works with it holds it, so that it can be replaced.
class PoolOfProcess {
  public:
    PoolOfProcess() {
#if defined(REFUSION_POSIX)
        pthread_atfork([] { instance_.mutex_.lock(); }, [] { instance_.mutex_.unlock(); },
                       [] { instance_.forget_pool_of_parent(); });
#endif
    }

    static PoolOfProcess& instance() { return instance_; }

    int threads() {
        const std::lock_guard lock(mutex_);
        return threads_;
    }

    void set_threads(int threads) {
        std::shared_ptr<ThreadPool>
            replaced;  // destroyed, and its threads joined, after the lock is given up
        const std::lock_guard lock(mutex_);
        if (threads != threads_) {
            threads_ = threads;
            replaced = std::move(pool_);
        }
    }

    // Null where the calling thread is the only one.
    std::shared_ptr<ThreadPool> get() {
        const std::lock_guard lock(mutex_);
        if (!pool_ && threads_ > 1) {
            pool_ = std::make_shared<ThreadPool>(threads_ - 1);
        }
        return pool_;
    }

  private:
#if defined(REFUSION_POSIX)
    void forget_pool_of_parent() {
        // Its threads do not exist in the child and its mutex may be held by one of them for ever, so it is
        // neither joined nor destroyed: a new empty pointer is made in the place of the old one.
        new (&pool_) std::shared_ptr<ThreadPool>;
        mutex_.unlock();
    }
#endif

    // Made when the library is loaded, so that no fork can fall into its construction, and never destroyed:
    // threads may still be at work while static objects are torn down at exit.
    static PoolOfProcess& instance_;

    std::mutex mutex_;
    std::shared_ptr<ThreadPool> pool_;
    int threads_ = std::min(processors(), kMaxDefaultThreads);
};

PoolOfProcess& PoolOfProcess::instance_ = *new PoolOfProcess;

}  // namespace

int thread_count() { return PoolOfProcess::instance().threads(); }

void set_thread_count(int count) {
    if (count < 1) {
        throw std::invalid_argument("the number of threads must be 1 or more, not " + std::to_string(count));
    }
    PoolOfProcess::instance().set_threads(count);
}

void parallel_for(std::ptrdiff_t size, std::ptrdiff_t band, const Body& body, int threads) {
    const std::ptrdiff_t bands = (size + band - 1) / band;
    const bool alone = bands <= 1 || threads == 1;
    const std::shared_ptr<ThreadPool> pool = alone ? nullptr : PoolOfProcess::instance().get();
    const std::ptrdiff_t most = threads > 0 ? std::min<std::ptrdiff_t>(bands, threads) : bands;
    const std::ptrdiff_t helpers = pool ? std::min(most - 1, pool->workers()) : 0;
    if (helpers == 0) {
        body(0, size);
        return;
    }
    Job job(size, band, body, helpers);
    pool->run(job, helpers);
}

void parallel_for_rows(std::ptrdiff_t height, std::ptrdiff_t width, const Body& body) {
    parallel_for(height, std::max<std::ptrdiff_t>(1, kPixelsPerBand / width), body);
}

}  // namespace refusion
