// The C++ side of weft.sim.verilated: the clock, the memory behind the AXI4 master, the host behind the AXI4-Lite
// slave, and the collection of the trace. Compiled together with the Verilated top (class Vtop) into one library.
//
// All inputs of the design pass registers in the wrapper that weft.sim.verilated writes around it. So nothing behind
// an input pin is combinational, the design is evaluated once per cycle, and pins may be set at any time before the
// edge: what is set in one cycle is seen in the next.
//
// The memory model answers in order, one data beat per cycle. Reads see memory when the beat is presented; writes reach
// memory when the response is presented, so that a master that does not wait for responses reads old data.

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

// Verilator renames the port `interrupt`, a word of SystemC, to `__SYM__interrupt`.
#include "Vtop.h"
#include "verilated.h"
#include "verilated_sym_props.h"
#include "verilated_syms.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

static_assert(std::endian::native == std::endian::little, "ports are copied as little-endian bytes");

namespace {

constexpr int UNITS = 4;
constexpr int ACTIVITIES = 16;  // values of the 4-bit activity port
constexpr uint64_t BOUNDARY = 4096;
constexpr uint64_t REGISTER_LIMIT = 10000;  // cycles in which a register access must be answered
constexpr int RESET_CYCLES = 8;
constexpr unsigned OKAY = 0, DECERR = 3, DEAD = 4;

// Offsets and bits of weft.rtl.registers; the Python side passes them, so that there is one definition.
struct Registers {
    uint64_t control, status, program, base[4];
    uint64_t start, interrupt_enable, done, error;  // masks
};

struct Settings {
    uint64_t read_latency;   // cycles from an address to its first data beat
    uint64_t write_latency;  // cycles from the last data beat to the response
    uint64_t bandwidth;      // of reads and writes together, in 1/256 byte per cycle; 0 is no limit
    uint64_t stall_seed;
    uint64_t stalls;  // chance of a stall per channel and cycle, in 1/256
};

enum Channel : int { AR, R, AW, W, B, CHANNELS };

// From transfer `number` of a channel on, counted since the fault was set: one response on R, or on B for the burst that
// write beat `number` belongs to; or none of the channel's transfers ever happens.
struct Injection {
    int channel = CHANNELS;
    uint64_t number = 0;
    unsigned response = OKAY;
};

// What a master may address, both ends included.
struct Window {
    uint64_t first = 0, last = ~uint64_t(0);
};

// A transfer that was offered and not taken: it must stay.
struct Offer {
    bool open = false;
    uint64_t address = 0, length = 0;
};

enum Outcome : int { FINISHED = 0, TIMEOUT = 1, DEVICE_ERROR = 2, FAULT = 3, NO_ANSWER = 4 };

struct ReadBurst {
    uint64_t address, beats, ready;
    bool inside;
};

struct WriteBurst {
    uint64_t address, beats, received, ready;
    bool inside;
    unsigned response;
};

struct UnitTag {
    int64_t activity[ACTIVITIES] = {};
    int64_t first = -1, completed = -1;
};

struct Tag {
    UnitTag unit[UNITS];
};

enum Phase { WAITING, OFFERED, ACCEPTED };

// The access over AXI4-Lite that is under way.
struct Host {
    bool active = false, write = false, mark = false;
    Phase address = WAITING, data = WAITING;
    uint32_t value = 0;
};

struct Sim {
    static constexpr uint64_t BEAT = sizeof(Vtop::m_axi_rdata);
    struct WriteBeat {
        uint8_t data[BEAT];
        uint8_t strobe[(BEAT + 7) / 8];
        bool last;
    };

    VerilatedContext context;
    // Names of public signals are kept in the context of the thread, which may be that of another simulation.
    bool chosen = choose();
    Vtop top{&context};
    uint8_t* memory;
    uint64_t memory_bytes;
    Registers registers;
    Settings settings;
    uint64_t random;
    int64_t credit = 0;  // bandwidth left over, in 1/256 byte; a beat may overdraw it
    uint64_t cycle = 0;
    char fault[160] = "";

    std::deque<ReadBurst> reads;
    uint64_t read_beat = 0;
    std::deque<WriteBurst> writes;
    std::deque<WriteBeat> beats;  // accepted, not yet in memory
    uint64_t matched = 0;         // of them, how many belong to an accepted address

    Host host;

    struct {
        uint8_t* place;
        uint8_t mask;
        uint64_t delay;
    } flip{};
    Injection injection;
    uint64_t transfers[CHANNELS] = {};  // since the injection was set
    uint64_t injected_at = ~uint64_t(0);  // the address that it hit
    Window windows[2];                  // of reads and of writes
    uint64_t strays = 0, stray_address = 0;
    Offer read_offer, write_offer;
    bool data_offer = false;
    WriteBeat data_offered;

    bool tracing = false;
    int64_t trace_cycle = 0;
    std::vector<Tag> tags;
    std::vector<uint16_t> used;
    std::vector<bool> known;

    Sim(uint8_t* memory, uint64_t memory_bytes, const Registers& registers, const Settings& settings)
        : memory(memory), memory_bytes(memory_bytes), registers(registers), settings(settings),
          random(settings.stall_seed * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du) {
        if (!random) random = 1;
        reset();
    }
    ~Sim() {
        choose();
        top.final();
    }
    bool choose() {
        Verilated::threadContextp(&context);
        return true;
    }

    // xorshift64 (Marsaglia).
    uint64_t draw() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return random;
    }
    bool stall() { return settings.stalls && (draw() >> 32 & 255) < settings.stalls; }

    void complain(const char* text, uint64_t address) {
        if (!*fault) std::snprintf(fault, sizeof fault, "%s at address 0x%llx", text, (unsigned long long)address);
    }

    void reset() {
        forget();
        tracing = false;
        host = Host();
        *fault = 0;
        top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_bready = top.s_axil_arvalid = top.s_axil_rready = 0;
        top.m_axi_arready = top.m_axi_rvalid = top.m_axi_awready = top.m_axi_wready = top.m_axi_bvalid = 0;
        for (int i = 0; i < RESET_CYCLES; ++i) {
            top.rst = i < RESET_CYCLES / 2;
            clock();
        }
    }

    // The memory is reset: it answers nothing of what it has taken.
    void forget() {
        reads.clear();
        writes.clear();
        beats.clear();
        read_beat = matched = 0;
        top.m_axi_rvalid = top.m_axi_bvalid = 0;
        read_offer.open = write_offer.open = data_offer = false;
    }

    bool hit(int channel, uint64_t number) const { return injection.channel == channel && injection.number == number; }
    bool dead(int channel) const {
        return injection.channel == channel && injection.response == DEAD && transfers[channel] >= injection.number;
    }

    // What is offered stays until it is taken (A3.2.1).
    void check_offer(Offer& offer, bool valid, bool ready, uint64_t address, uint64_t length) {
        if (offer.open && (!valid || address != offer.address || length != offer.length))
            complain("the master changes or withdraws an address", offer.address);
        offer = {valid && !ready, address, length};
    }
    void check_data() {
        WriteBeat beat;
        std::memcpy(beat.data, &top.m_axi_wdata, sizeof beat.data);
        std::memcpy(beat.strobe, &top.m_axi_wstrb, sizeof beat.strobe);
        beat.last = top.m_axi_wlast;
        if (data_offer && (!top.m_axi_wvalid || beat.last != data_offered.last ||
                           std::memcmp(beat.data, data_offered.data, sizeof beat.data) ||
                           std::memcmp(beat.strobe, data_offered.strobe, sizeof beat.strobe)))
            complain("the master changes or withdraws data of a write", writes.empty() ? 0 : writes.back().address);
        data_offer = top.m_axi_wvalid && !top.m_axi_wready;
        if (data_offer) data_offered = beat;
    }

    void check_window(const Window& window, uint64_t first, uint64_t bytes) {
        if (first >= window.first && first + bytes - 1 <= window.last) return;
        if (!strays++) stray_address = first;
    }

    uint64_t check_burst(uint64_t address, unsigned length, unsigned size, unsigned burst) {
        uint64_t first = address & ~(BEAT - 1);
        if (1u << size != BEAT || burst != 1) complain("the master asks for a burst that is not INCR or not of full width", address);
        if (first / BOUNDARY != (first + (length + 1) * BEAT - 1) / BOUNDARY) complain("a burst crosses a 4 KB boundary", address);
        return first;
    }
    bool inside(uint64_t address, uint64_t bytes) const { return address <= memory_bytes && bytes <= memory_bytes - address; }

    // One clock cycle. On entry and on return the outputs are settled and the input pins are what the design sees.
    void step() {
        const bool r = top.m_axi_rvalid && top.m_axi_rready;
        const bool w = top.m_axi_wvalid && top.m_axi_wready;
        const bool b = top.m_axi_bvalid && top.m_axi_bready;
        check_offer(read_offer, top.m_axi_arvalid, top.m_axi_arready, top.m_axi_araddr, top.m_axi_arlen);
        check_offer(write_offer, top.m_axi_awvalid, top.m_axi_awready, top.m_axi_awaddr, top.m_axi_awlen);
        check_data();
        if (top.m_axi_arvalid && top.m_axi_arready) accept_read();
        if (top.m_axi_awvalid && top.m_axi_awready) accept_write();
        if (w) accept_data();
        if (host.active) accept_host();
        if (tracing) {
            trace();
            tracing = !top.__SYM__interrupt;
        }
        if (settings.bandwidth) {
            credit += settings.bandwidth;
            if (credit > int64_t(1024 * BEAT)) credit = 1024 * BEAT;
            if (w) credit -= 256 * BEAT;
        }
        drive_read(r);
        drive_write(b);
        if (host.active) drive_host();
        clock();
    }

    // A top made of the RTL with mutants in it (weft.sim.mutated) has an input more.
    void choose_mutant(unsigned number) {
        [number](auto& pins) {
            if constexpr (requires { pins.mutant; }) pins.mutant = number;
        }(top);
    }

    void clock() {
        if (flip.delay && !--flip.delay) *flip.place ^= flip.mask;
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
        ++cycle;
    }

    void accept_read() {
        const uint64_t first = check_burst(top.m_axi_araddr, top.m_axi_arlen, top.m_axi_arsize, top.m_axi_arburst);
        const uint64_t count = uint64_t(top.m_axi_arlen) + 1;
        check_window(windows[0], first, count * BEAT);
        ++transfers[AR];
        reads.push_back({first, count, cycle + settings.read_latency, inside(first, count * BEAT)});
    }

    void accept_write() {
        const uint64_t first = check_burst(top.m_axi_awaddr, top.m_axi_awlen, top.m_axi_awsize, top.m_axi_awburst);
        const uint64_t count = uint64_t(top.m_axi_awlen) + 1;
        check_window(windows[1], first, count * BEAT);
        ++transfers[AW];
        const bool within = inside(first, count * BEAT);
        writes.push_back({first, count, 0, 0, within, within ? OKAY : DECERR});
        match();
    }

    void accept_data() {
        WriteBeat beat;
        std::memcpy(beat.data, &top.m_axi_wdata, sizeof beat.data);
        std::memcpy(beat.strobe, &top.m_axi_wstrb, sizeof beat.strobe);
        beat.last = top.m_axi_wlast;
        if (injection.response == DEAD) ++transfers[W];
        beats.push_back(beat);
        match();
    }

    // Give accepted data to accepted addresses, in order; data may come first.
    void match() {
        for (WriteBurst& burst : writes) {
            while (burst.received < burst.beats) {
                if (matched == beats.size()) return;
                if (injection.response != DEAD && hit(W, transfers[W]++)) {
                    burst.response = injection.response;
                    injected_at = burst.address;
                }
                ++burst.received;
                if (beats[matched++].last != (burst.received == burst.beats)) complain("WLAST is not at the last beat of the burst", burst.address);
                burst.ready = cycle + settings.write_latency;
            }
        }
    }

    void drive_read(bool taken) {
        if (!top.m_axi_arready || settings.stalls) top.m_axi_arready = !stall();
        if (dead(AR)) top.m_axi_arready = 0;
        if (taken) {
            top.m_axi_rvalid = 0;
            if (++read_beat == reads.front().beats) {
                reads.pop_front();
                read_beat = 0;
            }
        }
        if (top.m_axi_rvalid || reads.empty()) return;
        const ReadBurst& burst = reads.front();
        if (cycle + 1 < burst.ready || stall() || dead(R)) return;
        if (settings.bandwidth) {
            if (credit <= 0) return;
            credit -= 256 * BEAT;
        }
        top.m_axi_rvalid = 1;
        top.m_axi_rlast = read_beat + 1 == burst.beats;
        top.m_axi_rresp = burst.inside ? OKAY : DECERR;
        if (hit(R, transfers[R]++)) {
            top.m_axi_rresp = injection.response;
            injected_at = burst.address + read_beat * BEAT;
        }
        if (burst.inside) {
            std::memcpy(static_cast<void*>(&top.m_axi_rdata), memory + burst.address + read_beat * BEAT, BEAT);
        } else {
            std::memset(static_cast<void*>(&top.m_axi_rdata), 0, BEAT);
        }
    }

    void drive_write(bool taken) {
        if (!top.m_axi_awready || settings.stalls) top.m_axi_awready = !stall();
        if (dead(AW)) top.m_axi_awready = 0;
        top.m_axi_wready = !stall() && (!settings.bandwidth || credit > 0) && !dead(W);
        if (taken) top.m_axi_bvalid = 0;
        if (top.m_axi_bvalid || writes.empty()) return;
        const WriteBurst& burst = writes.front();
        if (burst.received < burst.beats || cycle + 1 < burst.ready || stall() || dead(B)) return;
        ++transfers[B];
        for (uint64_t k = 0; k < burst.beats; ++k) {
            const WriteBeat& beat = beats.front();
            for (uint64_t i = 0; burst.inside && i < BEAT; ++i)
                if (beat.strobe[i / 8] >> i % 8 & 1) memory[burst.address + k * BEAT + i] = beat.data[i];
            beats.pop_front();
        }
        matched -= burst.beats;
        top.m_axi_bvalid = 1;
        top.m_axi_bresp = burst.response;
        writes.pop_front();
    }

    UnitTag& slot(unsigned tag, int unit) {
        if (tag >= tags.size()) {
            tags.resize(tag + 1);
            known.resize(tag + 1);
        }
        if (!known[tag]) {
            known[tag] = true;
            tags[tag] = Tag();
            used.push_back(uint16_t(tag));
        }
        return tags[tag].unit[unit];
    }

    void watch(int unit, unsigned activity, unsigned tag, bool done, unsigned done_tag) {
        if (activity) {
            UnitTag& counts = slot(tag, unit);
            ++counts.activity[activity];
            if (counts.first < 0) counts.first = trace_cycle;
        }
        if (done) slot(done_tag, unit).completed = trace_cycle;
    }

    void trace() {
#define WATCH(unit, name) \
    watch(unit, top.trace_##name##_activity, top.trace_##name##_tag, top.trace_##name##_done, top.trace_##name##_done_tag)
        WATCH(0, load);
        WATCH(1, array);
        WATCH(2, drain);
        WATCH(3, store);
#undef WATCH
        ++trace_cycle;
    }

    void clear_trace() {
        for (uint16_t tag : used) known[tag] = false;
        used.clear();
        trace_cycle = 0;
    }

    void accept_host() {
        if (top.s_axil_awvalid && top.s_axil_awready) host.address = ACCEPTED;
        if (top.s_axil_wvalid && top.s_axil_wready) host.data = ACCEPTED;
        if (top.s_axil_arvalid && top.s_axil_arready) host.address = ACCEPTED;
        if (host.mark && host.address == ACCEPTED && host.data == ACCEPTED) {
            host.mark = false;
            clear_trace();
            tracing = true;
        }
        const bool written = top.s_axil_bvalid && top.s_axil_bready;
        const bool read = top.s_axil_rvalid && top.s_axil_rready;
        if (read) host.value = top.s_axil_rdata;
        if (written || read) host.active = false;
    }

    // A valid stays up until it is accepted; a stall only delays its rise.
    void drive_host() {
        if (host.address == WAITING && !stall()) host.address = OFFERED;
        if (host.data == WAITING && !stall()) host.data = OFFERED;
        top.s_axil_awvalid = host.write && host.address == OFFERED;
        top.s_axil_wvalid = host.write && host.data == OFFERED;
        top.s_axil_arvalid = !host.write && host.address == OFFERED;
        const bool ready = host.active && !stall();
        top.s_axil_bready = host.write && ready;
        top.s_axil_rready = !host.write && ready;
    }

    int access() {
        host.active = true;
        host.address = WAITING;
        host.data = host.write ? WAITING : ACCEPTED;
        for (uint64_t limit = cycle + REGISTER_LIMIT; host.active && cycle < limit;) step();
        return host.active ? NO_ANSWER : FINISHED;
    }

    // AXI4-Lite write. With `mark`, tracing begins in the cycle in which address and data have been accepted.
    int write_register(uint64_t address, uint32_t value, bool mark = false) {
        host.write = true;
        host.mark = mark;
        top.s_axil_awaddr = address;
        top.s_axil_wdata = value;
        top.s_axil_wstrb = 15;
        return access();
    }

    int read_register(uint64_t address, uint32_t* value) {
        host.write = false;
        top.s_axil_araddr = address;
        const int outcome = access();
        *value = host.value;
        return outcome;
    }

    // One run, until the interrupt; `cycles` counts the cycle of the start and that of the interrupt.
    int run_once(uint64_t limit, uint64_t* cycles) {
        int outcome = write_register(registers.control, registers.start | registers.interrupt_enable, true);
        if (outcome) return outcome;
        while (tracing && !*fault && uint64_t(trace_cycle) < limit) step();
        if (tracing && !*fault) {
            tracing = false;
            return TIMEOUT;
        }
        *cycles = trace_cycle;
        if (*fault) return FAULT;
        uint32_t status = 0;
        if ((outcome = read_register(registers.status, &status))) return outcome;
        if (status & registers.error) return DEVICE_ERROR;
        return write_register(registers.status, registers.done);
    }

    int run(uint32_t program, const uint64_t* bases, const uint64_t* steps, uint64_t runs, uint64_t limit,
            uint64_t* cycles, uint64_t* finished) {
        int outcome = write_register(registers.program, program);
        for (*finished = 0; !outcome && *finished < runs; *finished += !outcome) {
            for (int i = 0; i < 4 && !outcome; ++i)
                if (*finished == 0 || steps[i]) outcome = write_register(registers.base[i], bases[i] + *finished * steps[i]);
            if (!outcome) outcome = run_once(limit, cycles + *finished);
        }
        return outcome;
    }
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

void* weft_new(uint8_t* memory, uint64_t memory_bytes, const Registers* registers, const Settings* settings) {
    return new Sim(memory, memory_bytes, *registers, *settings);
}
void weft_delete(void* sim) { delete static_cast<Sim*>(sim); }
void weft_reset(void* sim) { static_cast<Sim*>(sim)->reset(); }
void weft_choose_mutant(void* sim, unsigned number) { static_cast<Sim*>(sim)->choose_mutant(number); }
// What a library made for it has counted since the last call, written to a file.
void weft_coverage([[maybe_unused]] void* sim, [[maybe_unused]] const char* path) {
#if VM_COVERAGE
    static_cast<Sim*>(sim)->context.coveragep()->write(path);
    static_cast<Sim*>(sim)->context.coveragep()->zero();
#endif
}
uint64_t weft_cycle(void* sim) { return static_cast<Sim*>(sim)->cycle; }
const char* weft_fault(void* sim) { return static_cast<Sim*>(sim)->fault; }

void weft_idle(void* sim, uint64_t cycles) {
    for (; cycles; --cycles) static_cast<Sim*>(sim)->step();
}
void weft_forget(void* sim) {
    static_cast<Sim*>(sim)->forget();
    *static_cast<Sim*>(sim)->fault = 0;
}
void weft_stall(void* sim, uint64_t stalls) { static_cast<Sim*>(sim)->settings.stalls = stalls; }

// Set the one fault of the memory; a channel that there is not means none.
void weft_inject(void* sim, int channel, uint64_t number, uint32_t response) {
    Sim& s = *static_cast<Sim*>(sim);
    s.injection = {channel, number, response};
    s.injected_at = ~uint64_t(0);
    std::memset(s.transfers, 0, sizeof s.transfers);
}
// The memories whose contents are public: the words and bits of number `index`; nothing behind the last one.
const VerilatedVar* memory_at(void* sim, uint64_t index) {
    const VerilatedScopeNameMap* scopes = static_cast<Sim*>(sim)->context.scopeNameMap();
    if (!scopes) return nullptr;
    for (const auto& scope : *scopes) {
        const VerilatedVar* var = scope.second->varFind("mem");
        if (var && !index--) return var;
    }
    return nullptr;
}
uint64_t weft_memory(void* sim, uint64_t index, uint64_t* bits) {
    const VerilatedVar* var = memory_at(sim, index);
    if (!var) return 0;
    *bits = var->packedRanges().front().elements();
    return var->unpackedRanges().front().elements();
}
void weft_flip(void* sim, uint64_t index, uint64_t word, uint64_t bit, uint64_t delay) {
    const VerilatedVar* var = memory_at(sim, index);
    const uint64_t pitch = var->totalSize() / var->unpackedRanges().front().elements();
    uint8_t* place = static_cast<uint8_t*>(var->datap()) + word * pitch + bit / 8;
    static_cast<Sim*>(sim)->flip = {place, uint8_t(1 << bit % 8), delay + 1};
}
uint64_t weft_transfers(void* sim, int channel) { return static_cast<Sim*>(sim)->transfers[channel]; }
uint64_t weft_injected_at(void* sim) { return static_cast<Sim*>(sim)->injected_at; }

void weft_window(void* sim, int which, uint64_t first, uint64_t last) {
    Sim& s = *static_cast<Sim*>(sim);
    s.windows[which] = {first, last};
    s.strays = s.stray_address = 0;
}
uint64_t weft_strays(void* sim, uint64_t* address) {
    *address = static_cast<Sim*>(sim)->stray_address;
    return static_cast<Sim*>(sim)->strays;
}

int weft_write_register(void* sim, uint64_t address, uint32_t value) {
    return static_cast<Sim*>(sim)->write_register(address, value);
}
int weft_read_register(void* sim, uint64_t address, uint32_t* value) {
    return static_cast<Sim*>(sim)->read_register(address, value);
}
int weft_run(void* sim, uint32_t program, const uint64_t* bases, const uint64_t* steps, uint64_t runs, uint64_t limit,
             uint64_t* cycles, uint64_t* finished) {
    return static_cast<Sim*>(sim)->run(program, bases, steps, runs, limit, cycles, finished);
}

uint64_t weft_tags(void* sim) { return static_cast<Sim*>(sim)->used.size(); }

// The trace of the last run: per tag, unit (and activity), in the order in which tags appeared.
void weft_trace(void* sim, int64_t* tags, int64_t* activity, int64_t* first, int64_t* completed) {
    const Sim& s = *static_cast<Sim*>(sim);
    for (uint16_t tag : s.used) {
        *tags++ = tag;
        for (const UnitTag& unit : s.tags[tag].unit) {
            *first++ = unit.first;
            *completed++ = unit.completed;
            for (int64_t count : unit.activity) *activity++ = count;
        }
    }
}
}
#pragma GCC visibility pop
