/* Preloaded into the service and its workers by the fault matrix: acts when a chosen call on the share comes.

   FAULT_DIR    control folder: "trace" is appended to; "hit.N" appears when the rule acts for the Nth time; a meeting
                lasts until "go" is there; "clock" holds seconds (int64) that are added to the wall clock
   FAULT_ROOT   only calls on paths below this are looked at
   FAULT_RULE   lines: role, operations (comma-separated), pattern, nth, before|after, action, count
                action: meet (tell, and wait), fail:ERRNO (before: instead of the call; after: a reply that got lost),
                        exit:STATUS
   FAULT_ARM    optional lines: operation, pattern; matches count only after such a call in the same process

   A rename or link is known by its target. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
#define FIELD 512

static struct {
    char control[PATH_MAX], root[PATH_MAX], role[16];
    char wanted[16], operations[FIELD], pattern[FIELD], when[16], action[32];
    char arm_operation[FIELD], arm_pattern[FIELD];
    int nth, count, failure, status;
    int active, verbose;
    volatile int64_t *clock;
} rule;
static atomic_int matches, armed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int raw_open(const char *path, int flags) { return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0644); }

static int raw_open_in_control(const char *name, int flags)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", rule.control, name);
    return raw_open(path, flags);
}

static void raw_write_line(int fd, const char *operation, const char *path)
{
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%d %s %s %s\n", (int)getpid(), rule.role, operation, path);
    if (fd >= 0) {
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
}

/* What this process is, from its command line; other programs are left alone. */
static void find_role(void)
{
    char line[4096];
    int fd = raw_open("/proc/self/cmdline", O_RDONLY);
    long length = syscall(SYS_read, fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    for (long i = 0; i < length; i++)
        if (line[i] == 0)
            line[i] = ' ';
    line[length > 0 ? length : 0] = 0;
    strcpy(rule.role, strstr(line, " daemon.worker.main ") ? "worker" : strstr(line, " daemon run ") ? "daemon" : "");
}

static void start(void)
{
    const char *control = getenv("FAULT_DIR"), *root = getenv("FAULT_ROOT");
    const char *text = getenv("FAULT_RULE"), *arm = getenv("FAULT_ARM");
    if (control == NULL || root == NULL)
        return;
    snprintf(rule.control, sizeof rule.control, "%s", control);
    snprintf(rule.root, sizeof rule.root, "%s", root);
    find_role();
    rule.active = rule.role[0] != 0;
    rule.verbose = getenv("FAULT_VERBOSE") != NULL;
    if (text == NULL || sscanf(text, "%15s\n%511s\n%511[^\n]\n%d\n%15s\n%31s\n%d", rule.wanted, rule.operations,
                               rule.pattern, &rule.nth, rule.when, rule.action, &rule.count) != 7)
        rule.count = 0;
    sscanf(rule.action, "fail:%d", &rule.failure);
    sscanf(rule.action, "exit:%d", &rule.status);
    atomic_store(&armed, arm == NULL || sscanf(arm, "%511s\n%511[^\n]", rule.arm_operation, rule.arm_pattern) != 2);
    int fd = raw_open_in_control("clock", O_RDONLY);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
    rule.clock = mapped == MAP_FAILED ? NULL : mapped;
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static int is_one_of(const char *word, const char *list)
{
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == 0))
            return 1;
    return 0;
}

static void meet(int hit)
{
    struct timespec pause = {0, 2000000};
    char name[32], go[PATH_MAX + 8];
    snprintf(name, sizeof name, "met.%d", hit);
    raw_write_line(raw_open_in_control(name, O_WRONLY | O_CREAT), "met", "-");
    snprintf(go, sizeof go, "%s/go", rule.control);
    while (syscall(SYS_faccessat, AT_FDCWD, go, F_OK) != 0)
        syscall(SYS_nanosleep, &pause, NULL);
}

/* The first to make the file acts, so that a rule is spent once over all processes and restarts. */
static int take_hit(const char *operation, const char *path)
{
    for (int hit = 0; hit < rule.count; hit++) {
        char name[32];
        snprintf(name, sizeof name, "hit.%d", hit);
        int fd = raw_open_in_control(name, O_WRONLY | O_CREAT | O_EXCL);
        if (fd >= 0) {
            raw_write_line(fd, operation, path);
            return hit;
        }
    }
    return -1;
}

/* 1: the rule is for this call. */
static int is_meant(const char *operation, const char *path)
{
    pthread_once(&once, start);
    size_t length = strlen(rule.root);
    if (!rule.active || strncmp(path, rule.root, length) != 0 || (path[length] != '/' && path[length] != 0))
        return 0;
    if (rule.verbose || is_one_of(operation, "create,rename,link,unlink,mkdir"))
        raw_write_line(raw_open_in_control("trace", O_WRONLY | O_CREAT | O_APPEND), operation, path);
    if (!atomic_load(&armed)) {
        if (is_one_of(operation, rule.arm_operation) && fnmatch(rule.arm_pattern, path, 0) == 0)
            atomic_store(&armed, 1);
        return 0;
    }
    if (rule.count == 0 || (strcmp(rule.wanted, "any") != 0 && strcmp(rule.wanted, rule.role) != 0))
        return 0;
    if (!is_one_of(operation, rule.operations) || fnmatch(rule.pattern, path, FNM_EXTMATCH) != 0)
        return 0;
    return atomic_fetch_add(&matches, 1) + 1 >= rule.nth;
}

/* Acts; 0: go on, else the number of the error to be returned. */
static int act(const char *operation, const char *path)
{
    int hit = take_hit(operation, path);
    if (hit < 0)
        return 0;
    if (strcmp(rule.action, "meet") == 0)
        meet(hit);
    if (strncmp(rule.action, "exit:", 5) == 0)
        _exit(rule.status);
    return rule.failure;
}

/* Around every call: the rule acts before it (and may replace it) or after it (and may change its result). */
#define AROUND(operation, path, failed, call)                                                                       \
    do {                                                                                                            \
        int meant_ = is_meant(operation, path), after_ = meant_ && strcmp(rule.when, "after") == 0, number_;        \
        if (meant_ && !after_ && (number_ = act(operation, path)) != 0) {                                           \
            errno = number_;                                                                                        \
            return failed;                                                                                          \
        }                                                                                                           \
        __typeof__(call) result_ = call;                                                                            \
        int errno_ = errno;                                                                                         \
        if (after_ && result_ != failed && (number_ = act(operation, path)) != 0) {                                 \
            errno = number_;                                                                                        \
            return failed;                                                                                          \
        }                                                                                                           \
        errno = errno_;                                                                                             \
        return result_;                                                                                             \
    } while (0)

static const char *path_of_fd(int fd, char *buffer)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    buffer[length > 0 ? length : 0] = 0;
    return buffer;
}

static const char *full_path(int folder, const char *name, char *buffer)
{
    char base[PATH_MAX];
    if (name[0] == '/' || folder == AT_FDCWD)
        return name;
    snprintf(buffer, PATH_MAX, "%.*s/%.*s", PATH_MAX / 2 - 2, path_of_fd(folder, base), PATH_MAX / 2 - 2, name);
    return buffer;
}

static const char *kind_of_open(int flags)
{
    return flags & O_DIRECTORY ? "folder" : (flags & O_ACCMODE) == O_RDONLY ? "open" : "create";
}

#define MODE(flags)                                                                                                 \
    mode_t mode = 0;                                                                                                \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                          \
        va_list rest;                                                                                               \
        va_start(rest, flags);                                                                                      \
        mode = va_arg(rest, mode_t);                                                                                \
        va_end(rest);                                                                                               \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags)
    AROUND(kind_of_open(flags), path, -1, REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...)
{
    MODE(flags)
    AROUND(kind_of_open(flags), path, -1, REAL(open64)(path, flags, mode));
}

int openat(int folder, const char *name, int flags, ...)
{
    MODE(flags)
    char buffer[PATH_MAX];
    AROUND(kind_of_open(flags), full_path(folder, name, buffer), -1, REAL(openat)(folder, name, flags, mode));
}

int openat64(int folder, const char *name, int flags, ...)
{
    MODE(flags)
    char buffer[PATH_MAX];
    AROUND(kind_of_open(flags), full_path(folder, name, buffer), -1, REAL(openat64)(folder, name, flags, mode));
}

DIR *opendir(const char *path) { AROUND("list", path, NULL, REAL(opendir)(path)); }

DIR *fdopendir(int fd)
{
    char buffer[PATH_MAX];
    AROUND("list", path_of_fd(fd, buffer), NULL, REAL(fdopendir)(fd));
}

ssize_t read(int fd, void *data, size_t size)
{
    char buffer[PATH_MAX];
    AROUND("read", path_of_fd(fd, buffer), -1, REAL(read)(fd, data, size));
}

ssize_t write(int fd, const void *data, size_t size)
{
    char buffer[PATH_MAX];
    AROUND("write", path_of_fd(fd, buffer), -1, REAL(write)(fd, data, size));
}

int fsync(int fd)
{
    char buffer[PATH_MAX];
    AROUND("fsync", path_of_fd(fd, buffer), -1, REAL(fsync)(fd));
}

int rename(const char *from, const char *to) { AROUND("rename", to, -1, REAL(rename)(from, to)); }

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    char buffer[PATH_MAX];
    AROUND("rename", full_path(to_folder, to, buffer), -1, REAL(renameat)(from_folder, from, to_folder, to));
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    char buffer[PATH_MAX];
    AROUND("rename", full_path(to_folder, to, buffer), -1, REAL(renameat2)(from_folder, from, to_folder, to, flags));
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    char buffer[PATH_MAX];
    AROUND("link", full_path(to_folder, to, buffer), -1, REAL(linkat)(from_folder, from, to_folder, to, flags));
}

int link(const char *from, const char *to) { AROUND("link", to, -1, REAL(link)(from, to)); }

int unlink(const char *path) { AROUND("unlink", path, -1, REAL(unlink)(path)); }

int unlinkat(int folder, const char *name, int flags)
{
    char buffer[PATH_MAX];
    AROUND("unlink", full_path(folder, name, buffer), -1, REAL(unlinkat)(folder, name, flags));
}

int rmdir(const char *path) { AROUND("unlink", path, -1, REAL(rmdir)(path)); }

int mkdir(const char *path, mode_t mode) { AROUND("mkdir", path, -1, REAL(mkdir)(path, mode)); }

/* The wall clock, moved; the monotonic one runs on, as on a machine whose time is set. */

static int64_t moved_s(void)
{
    pthread_once(&once, start);
    return rule.clock == NULL ? 0 : *rule.clock;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int result = REAL(clock_gettime)(which, now);
    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)
        now->tv_sec += moved_s();
    return result;
}

int gettimeofday(struct timeval *now, void *zone)
{
    int result = REAL(gettimeofday)(now, zone);
    now->tv_sec += moved_s();
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}
