#pragma once

#include <atomic>
#include <memory>

namespace refusion {

// Memory of one call, kept for the next. Calls at once each make their own, and one of these is kept. There
// is no lock, which a fork() during another thread's call would leave locked in the child.
template <class Workspace>
class Spare {
  public:
    Spare() = default;
    ~Spare() { delete kept_.load(); }
    Spare(const Spare&) = delete;
    Spare& operator=(const Spare&) = delete;

    // What was kept, and then is no more; a new one made by `make` where nothing was.
    template <class Make>
    std::unique_ptr<Workspace> take(Make make) {
        std::unique_ptr<Workspace> kept(kept_.exchange(nullptr));
        return kept ? std::move(kept) : make();
    }
    void keep(std::unique_ptr<Workspace> used) { delete kept_.exchange(used.release()); }

  private:
    std::atomic<Workspace*> kept_{nullptr};
};

}  // namespace refusion
