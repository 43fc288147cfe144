// The C++ side of weft.sim.serial_board: a board's clock, and a host's bytes on its serial pins, bit by bit. Compiled
// together with the Verilated top (class Vtop: clk, rst, receive, transmit, busy) into one library.

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "Vtop.h"
#include "verilated.h"

namespace {

constexpr int RESET_CYCLES = 8;
constexpr int BITS = 10;                // start bit, data, stop bit
constexpr uint64_t SLICE = 4096;        // cycles between two looks at the descriptor
constexpr uint64_t QUIET_BITS = 64;     // after so much silence of a board that does nothing its clock may stop
constexpr int POLL_MS = 50;             // how soon a server that sleeps sees that it should stop
constexpr size_t ROOM = 1 << 16;        // bytes on their way to the board

struct Board {
    VerilatedContext context;
    Vtop top{&context};
    uint64_t cycle = 0;
    uint64_t divisor;

    std::deque<uint8_t> to_board, from_board;
    unsigned sending = 0;  // bits of the byte being sent, lowest next; 0 when idle
    uint64_t next_bit = 0;

    int receiving = -1;  // the bit of the byte being received that is sampled next, -1 when idle
    unsigned received = 0;
    uint64_t next_sample = 0;
    uint64_t last_active = 0;

    explicit Board(uint64_t divisor) : divisor(divisor) {
        top.receive = 1;
        for (int i = 0; i < RESET_CYCLES; ++i) {
            top.rst = i < RESET_CYCLES / 2;
            clock();
        }
    }
    ~Board() { top.final(); }

    void clock() {
        top.clk = 1;
        top.eval();
        top.clk = 0;
        top.eval();
        ++cycle;
    }

    void step() {
        if (cycle >= next_bit) {
            if (!sending && !to_board.empty()) {
                sending = 1u << (BITS - 1) | unsigned(to_board.front()) << 1 | 1u << BITS;  // the highest one marks the end
                to_board.pop_front();
            }
            if (sending > 1) {
                top.receive = sending & 1;
                sending >>= 1;
                next_bit = cycle + divisor;
                last_active = cycle;
            }
            if (sending == 1) sending = 0;
        }
        clock();
        if (receiving < 0) {
            if (!top.transmit) {
                receiving = 0;
                received = 0;
                next_sample = cycle + divisor / 2;
            }
        } else if (cycle >= next_sample) {
            if (receiving > 0 && receiving < BITS - 1) received |= unsigned(top.transmit) << (receiving - 1);
            next_sample += divisor;
            if (++receiving == BITS) {
                if (top.transmit) from_board.push_back(uint8_t(received));
                receiving = -1;
            }
        }
        if (receiving >= 0 || top.busy) last_active = cycle;
    }

    bool asleep() const {
        return to_board.empty() && !sending && cycle - last_active > QUIET_BITS * divisor;
    }

    // Bytes from and to a descriptor until *stop; 0, or errno when the descriptor fails.
    int serve(int fd, const volatile int* stop) {
        uint8_t buffer[4096];
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        while (!*stop) {
            if (asleep()) {
                pollfd wait{fd, POLLIN, 0};
                poll(&wait, 1, POLL_MS);
            }
            if (to_board.size() < ROOM) {
                const ssize_t count = read(fd, buffer, sizeof buffer);
                if (count > 0) to_board.insert(to_board.end(), buffer, buffer + count);
                else if (count == 0 || (errno != EAGAIN && errno != EINTR)) return count ? errno : EIO;
            }
            if (!asleep() || !to_board.empty())
                for (uint64_t i = 0; i < SLICE; ++i) step();
            while (!from_board.empty()) {
                size_t size = 0;
                while (size < sizeof buffer && size < from_board.size()) {
                    buffer[size] = from_board[size];
                    ++size;
                }
                const ssize_t count = write(fd, buffer, size);
                if (count < 0 && errno != EAGAIN && errno != EINTR) return errno;
                if (count <= 0) break;
                from_board.erase(from_board.begin(), from_board.begin() + count);
            }
        }
        return 0;
    }
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

void* board_new(uint64_t divisor) { return new Board(divisor); }
void board_delete(void* board) { delete static_cast<Board*>(board); }
void board_divisor(void* board, uint64_t divisor) { static_cast<Board*>(board)->divisor = divisor; }
uint64_t board_cycle(void* board) { return static_cast<Board*>(board)->cycle; }

void board_send(void* board, const uint8_t* bytes, uint64_t count) {
    Board& b = *static_cast<Board*>(board);
    b.to_board.insert(b.to_board.end(), bytes, bytes + count);
}

// Runs until the board has sent `wanted` bytes, or for `limit` cycles after the last byte to or from it.
void board_run(void* board, uint64_t wanted, uint64_t limit) {
    Board& b = *static_cast<Board*>(board);
    for (uint64_t left = limit; left && b.from_board.size() < wanted; --left) {
        if (!b.to_board.empty() || b.sending || b.receiving >= 0) left = limit;
        b.step();
    }
}

uint64_t board_take(void* board, uint8_t* bytes, uint64_t limit) {
    Board& b = *static_cast<Board*>(board);
    uint64_t count = 0;
    for (; count < limit && !b.from_board.empty(); ++count) {
        bytes[count] = b.from_board.front();
        b.from_board.pop_front();
    }
    return count;
}

int board_serve(void* board, int fd, const volatile int* stop) { return static_cast<Board*>(board)->serve(fd, stop); }
}
#pragma GCC visibility pop
