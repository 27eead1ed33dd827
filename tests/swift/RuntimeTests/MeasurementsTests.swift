import MIL
import ModelFiles
import Runtime
import Testing

@testable import Martlet

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

private func near(_ a: Double?, _ b: Double, within part: Double = 1e-9) -> Bool {
    guard let a else { return false }
    return abs(a - b) <= part * abs(b) + 1e-15
}

/// A folder that is gone after the test.
private func withFolder(_ body: (CacheFolder) throws -> Void) throws {
    var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
    let path = try #require(mkdtemp(&template).map { String(cString: $0) })
    defer { _ = list(path).map { unlink(path + "/" + $0) }; rmdir(path) }
    try body(CacheFolder(path: path))
}

private func list(_ path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != "." && name != ".." { names.append(name) }
    }
    return names
}

@Suite struct MeasurementsTests {
    @Test func aLineIsFoundAgain() {
        let points = [10.0, 1e3, 1e5, 1e7].map { (work: $0, seconds: 2e-6 + 3e-9 * $0) }
        let cost = Measurements.Cost(fitting: points)
        #expect(near(cost?.start, 2e-6, within: 1e-6))
        #expect(near(cost?.perWork, 3e-9, within: 1e-6))
    }

    @Test func neitherStartNorSlopeIsNegative() {
        // Falling times: no slope. Times that grow faster than the work: no start.
        let falling = Measurements.Cost(fitting: [(1, 4e-6), (10, 2e-6), (100, 1e-6)])
        #expect(falling?.perWork == 0 && (falling?.start ?? 0) > 0)
        let steep = Measurements.Cost(fitting: [(1, 1e-9), (10, 5e-8), (100, 2e-6)])
        #expect(steep?.start == 0 && (steep?.perWork ?? 0) > 0)
        #expect(Measurements.Cost(fitting: [(5, 1e-6)]) == Measurements.Cost(start: 1e-6, perWork: 0))
        #expect(Measurements.Cost(fitting: []) == nil)
        #expect(Measurements.Cost(fitting: [(1, .nan), (1, 0)]) == nil)
    }

    @Test(arguments: [false, true])
    func calibrationFindsTheCostsOfADevice(_ quick: Bool) throws {
        let clock = TestClock()
        let host = TimedDevice(name: "cpu", clock: clock, cost: .init(start: 2e-6, perWork: 4e-13))
        let far = TimedDevice(
            name: "metal", clock: clock, kind: .metal, cost: .init(start: 2e-5, perWork: 4e-14), perByte: 1e-12,
            isHostMemory: false)
        let measured = Calibration(
            devices: [host, far], machine: somewhere, quick: quick, clock: clock.clock
        ).run()
        for type in [
            OperationType.matrixMultiplication, .activation, .convolution, .elementWise, .statisticalDistribution,
        ] {
            let cost = measured.costs["cpu"]?[type]
            #expect(near(cost?.start, 2e-6, within: 0.01), "\(type)")
            #expect(near(measured.costs["metal"]?[type]?.start, 2e-5, within: 0.01), "\(type)")
        }
        #expect(near(measured.costs["cpu"]?[.matrixMultiplication]?.perWork, 4e-13, within: 0.05))
        #expect(near(measured.copies["metal"], 1e-12, within: 0.05))
        #expect(near(measured.dispatch["cpu"], 2e-6, within: 0.01))
    }

    @Test func calibrationKeepsItsBudgetAndCanBeEnded() throws {
        let clock = TestClock()
        let slow = TimedDevice(name: "cpu", clock: clock, cost: .init(start: 0.05, perWork: 0))
        let begin = clock.now
        _ = Calibration(devices: [slow], machine: somewhere, quick: true, clock: clock.clock).run()
        // One point more than the budget of 0.8 s may be under way: four runs of it.
        let spent = Double(clock.now - begin) / 1e9
        #expect(spent < 1.01)
        var calls = 0
        let ended = Calibration(devices: [slow], machine: somewhere, clock: clock.clock).run { done, total, next in
            calls += 1
            #expect(done <= total)
            return false
        }
        #expect(ended.costs.isEmpty)
        #expect(calls == 1)
    }

    @Test func whatADeviceRefusesIsAGapAndModesAreNotMeasured() throws {
        let clock = TestClock()
        let device = TimedDevice(name: "cpu", clock: clock, refuses: ["conv"])
        let devices: [any Device] = [device, described("cpu:declared", .cpu, changesResults: true)]
        let measured = Calibration(devices: devices, machine: somewhere, quick: true, clock: clock.clock).run()
        #expect(measured.costs["cpu"]?[.convolution] == nil)
        #expect(measured.costs["cpu"]?[.activation] != nil)
        #expect(measured.gaps.contains { $0.key == "convolution on cpu" && $0.value == "It has no conv." })
        #expect(measured.costs["cpu:declared"] == nil)
    }

    @Test func measurementsOutliveTheProcess() throws {
        try withFolder { folder in
            let kept = Measurements(
                machine: .this, costs: ["cpu": [.activation: .init(start: 1.5e-6, perWork: 2.25e-10)]],
                dispatch: ["cpu": 5e-7], copies: ["cpu": 1e-11], gaps: ["conv [8] on cpu": "It has \"none\"."])
            let path = try kept.store(in: folder)
            #expect(path.hasPrefix(folder.path))
            let stored = Measurements.stored(in: folder)
            #expect(stored.measurements == kept)
            #expect(stored.path == path && stored.reason == nil)
            // Written again: replaced, and nothing of the writing stays behind.
            _ = try kept.store(in: folder)
            #expect(list(folder.path).count == 1)
        }
    }

    @Test func theFolderIsMadeWhenItIsNeeded() throws {
        try withFolder { folder in
            let inner = CacheFolder(path: folder.path + "/a/b")
            #expect(Measurements.stored(in: inner).measurements == nil)
            let path = try Measurements(machine: .this).store(in: inner)
            #expect(Measurements.stored(in: inner).measurements != nil)
            unlink(path)
            rmdir(folder.path + "/a/b")
            rmdir(folder.path + "/a")
        }
    }

    @Test(arguments: [
        "", "{", "null", "[]", "{\"machine\": 1}", "\u{0}\u{1}", "{\"machine\": {}, \"costs\": {}}",
        String(repeating: "[", count: 5000), String(repeating: " ", count: 2 << 20),
    ])
    func brokenFilesAreIgnoredWithAReason(_ text: String) throws {
        try withFolder { folder in
            let path = try Measurements(machine: .this).store(in: folder)
            let file = try #require(fopen(path, "w"))
            fputs(text, file)
            fclose(file)
            let stored = Measurements.stored(in: folder)
            #expect(stored.measurements == nil)
            #expect(stored.reason?.contains("ignored") == true)
        }
    }

    @Test(arguments: [-1.0, .infinity])
    func impossibleTimesAreRefused(_ seconds: Double) {
        let broken = Measurements(machine: .this, costs: ["cpu": [.activation: .init(start: seconds, perWork: 0)]])
        #expect(throws: Failure.self) { try Measurements(json: JSON(parsing: broken.json.description)) }
    }

    @Test func anotherMachineAndAnotherVersionCountForNothing() throws {
        try withFolder { folder in
            let path = try Measurements(machine: .this).store(in: folder)
            for change in [\Measurements.Machine.processor, \.isa, \.system, \.version] {
                var foreign = Measurements(machine: .this)
                foreign.machine[keyPath: change] += " of others"
                let other = try foreign.store(in: folder)
                #expect(other != path)
                #expect(rename(other, path) == 0)
                let stored = Measurements.stored(in: folder)
                #expect(stored.measurements == nil && stored.reason?.contains("another machine") == true)
            }
        }
    }
}
