// A V4L2 camera for tests, put before the C library with LD_PRELOAD: /dev/video0 gives 20 frames a second of
// 64 by 48 pixels, Y16 whose counts tell the frame and the pixel. Environment: FAKE_CAMERA=yuyv gives gray in
// YUYV instead; FAKE_CAMERA_FRAMES=N unplugs it after N frames, with FAKE_CAMERA_HANGS=1 it hangs instead.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { kWidth = 64, kHeight = 48, kBytes = kWidth * kHeight * 2, kBuffers = 8, kPeriodNs = 50000000 };

static int camera = -1;
static int count;
static uint8_t *memory[kBuffers];
static int queue[kBuffers], queued, head;

static uint32_t format(void) {
  const char *kind = getenv("FAKE_CAMERA");
  return kind && !strcmp(kind, "yuyv") ? V4L2_PIX_FMT_YUYV : V4L2_PIX_FMT_Y16;
}

static int limit(void) {
  const char *text = getenv("FAKE_CAMERA_FRAMES");
  return text ? atoi(text) : 1 << 30;
}

static int opened(const char *path, int *fd) {
  if (strcmp(path, "/dev/video0")) return 0;
  if (count >= limit() && !getenv("FAKE_CAMERA_HANGS")) {
    errno = ENODEV;
    *fd = -1;
    return 1;
  }
  *fd = camera = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  queued = head = 0;
  return 1;
}

#define OPEN(name)                                              \
  int name(const char *path, int flags, ...) {                  \
    int fd;                                                     \
    if (opened(path, &fd)) return fd;                           \
    va_list more;                                               \
    va_start(more, flags);                                      \
    mode_t mode = va_arg(more, mode_t);                         \
    va_end(more);                                               \
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name); \
    return real(path, flags, mode);                             \
  }
OPEN(open)
OPEN(open64)

#define MMAP(name, offset_type)                                                                \
  void *name(void *at, size_t size, int protection, int flags, int fd, offset_type offset) {   \
    if (fd >= 0 && fd == camera) return memory[offset / 4096];                                 \
    void *(*real)(void *, size_t, int, int, int, offset_type) = dlsym(RTLD_NEXT, #name);       \
    return real(at, size, protection, flags, fd, offset);                                      \
  }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

int munmap(void *at, size_t size) {
  for (int i = 0; i < kBuffers; ++i)
    if (at == memory[i]) return 0;
  int (*real)(void *, size_t) = dlsym(RTLD_NEXT, "munmap");
  return real(at, size);
}

static int fail(int error) {
  errno = error;
  return -1;
}

static int dequeue(struct v4l2_buffer *buffer) {
  uint64_t expired;
  if (count >= limit()) return fail(getenv("FAKE_CAMERA_HANGS") ? EAGAIN : ENODEV);
  if (queued == 0 || read(camera, &expired, sizeof expired) < 0) return fail(EAGAIN);
  int index = queue[head];
  head = (head + 1) % kBuffers;
  --queued;
  uint16_t *pixels = (uint16_t *)memory[index];
  for (int i = 0; i < kWidth * kHeight; ++i)
    pixels[i] = format() == V4L2_PIX_FMT_Y16 ? (uint16_t)(8000 + i + count) : 0x8080;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  buffer->index = index;
  buffer->bytesused = buffer->length = kBytes;
  buffer->sequence = count++;
  buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
  buffer->timestamp.tv_sec = now.tv_sec;
  buffer->timestamp.tv_usec = now.tv_nsec / 1000;
  if (count >= limit() && getenv("FAKE_CAMERA_HANGS")) {
    struct itimerspec never = {{0, 0}, {0, 0}};
    timerfd_settime(camera, 0, &never, NULL);
  }
  return 0;
}

int ioctl(int fd, unsigned long request, ...) {
  va_list more;
  va_start(more, request);
  void *argument = va_arg(more, void *);
  va_end(more);
  if (fd < 0 || fd != camera) {
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return real(fd, request, argument);
  }
  switch ((uint32_t)request) {
    case VIDIOC_QUERYCAP: {
      struct v4l2_capability *capability = argument;
      memset(capability, 0, sizeof *capability);
      capability->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
      return 0;
    }
    case VIDIOC_G_INPUT:
      *(int *)argument = 0;
      return 0;
    case VIDIOC_S_INPUT:
      return 0;
    case VIDIOC_ENUMINPUT: {
      struct v4l2_input *input = argument;
      if (input->index) return fail(EINVAL);
      input->type = V4L2_INPUT_TYPE_CAMERA;
      return 0;
    }
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT: {
      struct v4l2_pix_format *picture = &((struct v4l2_format *)argument)->fmt.pix;
      picture->width = kWidth;
      picture->height = kHeight;
      picture->pixelformat = format();
      picture->bytesperline = kWidth * 2;
      picture->sizeimage = kBytes;
      picture->field = V4L2_FIELD_NONE;
      return 0;
    }
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
      struct v4l2_captureparm *parameters = &((struct v4l2_streamparm *)argument)->parm.capture;
      parameters->capability = V4L2_CAP_TIMEPERFRAME;
      parameters->timeperframe.numerator = 1;
      parameters->timeperframe.denominator = 20;
      return 0;
    }
    case VIDIOC_REQBUFS: {
      struct v4l2_requestbuffers *wanted = argument;
      if (wanted->count > kBuffers) wanted->count = kBuffers;
      for (uint32_t i = 0; i < wanted->count; ++i)
        if (!memory[i]) memory[i] = aligned_alloc(4096, (kBytes + 4095) / 4096 * 4096);
      return 0;
    }
    case VIDIOC_QUERYBUF: {
      struct v4l2_buffer *buffer = argument;
      buffer->length = kBytes;
      buffer->m.offset = buffer->index * 4096;
      return 0;
    }
    case VIDIOC_QBUF:
      queue[(head + queued++) % kBuffers] = ((struct v4l2_buffer *)argument)->index;
      return 0;
    case VIDIOC_DQBUF:
      return dequeue(argument);
    case VIDIOC_STREAMON: {
      struct itimerspec each = {{0, kPeriodNs}, {0, kPeriodNs}};
      return timerfd_settime(camera, 0, &each, NULL);
    }
    case VIDIOC_STREAMOFF:
      queued = head = 0;
      return 0;
    default:
      return fail(EINVAL);
  }
}
