import MIL
import Runtime
import Synchronization
import Testing

/// Counts how often it is asked, and changes its mind when told to.
private final class MoodyDevice: Device {
    let name = "moody"
    let summary = "a device that comes and goes"
    let kind = DeviceKind.metal
    let asked = Atomic<Int>(0)
    let isOn = Atomic<Bool>(true)

    var availability: Availability {
        asked.wrappingAdd(1, ordering: .relaxed)
        return isOn.load(ordering: .relaxed) ? .available : .unavailable(reason: "It is off.")
    }

    func assess(_ call: Call) -> Verdict { .native }
    func compile(_ function: Function) throws -> any Executable { throw Failure(.unsupported, "It runs nothing.") }
}

@Suite struct DeviceCacheTests {
    @Test func statusesAreBelievedForThirtySeconds() throws {
        let (device, time) = (MoodyDevice(), TestClock())
        let cache = DeviceCache(devices: { [device] }, clock: time.clock)
        #expect(cache.cachedStatus("moody") == nil)
        cache.warmup()
        #expect(device.asked.load(ordering: .relaxed) == 1)
        device.isOn.store(false, ordering: .relaxed)
        time.advance(seconds: 29.9)
        #expect(try cache.isDeviceAvailable("moody"))
        #expect(device.asked.load(ordering: .relaxed) == 1)
        time.advance(seconds: 0.2)
        #expect(cache.cachedStatus("moody") == nil)
        #expect(try !cache.isDeviceAvailable("moody"))
        #expect(cache.cachedStatus("moody") == .unavailable(reason: "It is off."))
        #expect(device.asked.load(ordering: .relaxed) == 2)
    }

    @Test func statisticsCountEntriesAndHits() throws {
        let (device, time) = (MoodyDevice(), TestClock())
        let cache = DeviceCache(devices: { [device] }, clock: time.clock)
        #expect(cache.getStats() == DeviceCache(devices: { [] }).getStats())
        _ = try cache.isDeviceAvailable("moody")
        _ = try cache.isDeviceAvailable("moody")
        _ = try cache.isDeviceAvailable("moody")
        _ = try cache.isDeviceAvailable("moody")
        cache.update("other", .unavailable(reason: "It is told so."))
        var stats = cache.getStats()
        #expect((stats.totalEntries, stats.validEntries, stats.availableDevices) == (2, 2, 1))
        #expect(stats.cacheHitRate == 0.75)
        time.advance(seconds: 31)
        stats = cache.getStats()
        #expect((stats.totalEntries, stats.validEntries, stats.availableDevices) == (2, 0, 0))
        #expect(cache.cleanupExpired() == 2)
        #expect(cache.getStats().totalEntries == 0)
    }

    @Test func aNameThatIsNoDeviceIsRefused() {
        #expect(throws: Failure.self) { try DeviceCache(devices: { [] }).isDeviceAvailable("tpu") }
    }

    @Test func theSelectorFollowsTheStatuses() throws {
        let (device, time) = (MoodyDevice(), TestClock())
        let devices: [any Device] = [described("cpu", .cpu), device]
        let selector = SmartDeviceSelector(
            devices: devices, statuses: DeviceCache(devices: { devices }, clock: time.clock))
        #expect(try selector.choice("custom_kernel", [4096]).device.name == "moody")
        device.isOn.store(false, ordering: .relaxed)
        time.advance(seconds: 31)
        #expect(try selector.choice("custom_kernel", [4096]).device.name == "cpu")
    }

    @Test func threadsShareTheCache() async {
        let device = MoodyDevice()
        let cache = DeviceCache(devices: { [device] })
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for turn in 0..<500 {
                        if turn % 50 == task { cache.warmup() }
                        #expect((try? cache.isDeviceAvailable("moody")) == true)
                        cache.cleanupExpired()
                    }
                }
            }
        }
        #expect(cache.getStats().totalEntries == 1)
    }
}
