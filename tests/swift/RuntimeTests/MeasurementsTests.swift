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

/// What versions that did not note the time wrote.
private let withoutTime = Measurements(machine: .this).json.description.replacing("measured_at", with: "at")

extension Calibration.Outcome {
    /// The measurements, which must be fit to keep.
    fileprivate func believed() throws -> Measurements {
        if let objection { throw Failure(.unsupported, objection) }
        return measurements
    }
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
        let measured = try Calibration(
            devices: [host, far], machine: somewhere, quick: quick, clock: clock.clock
        ).run().believed()
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
        let calibration = Calibration(devices: [slow], machine: somewhere, quick: true, clock: clock.clock)
        let found = try calibration.run().believed()
        let spent = Double(clock.now - begin) / 1e9
        #expect(spent <= Double(calibration.limit) / 1e9)
        // What would not fit is not begun; the smallest sizes come first.
        #expect(found.gaps.values.contains("There was no time for it."))
        #expect(near(found.costs["cpu"]?[.activation]?.start, 0.05))
        var calls = 0
        let ended = Calibration(devices: [slow], machine: somewhere, clock: clock.clock).run { done, total, next in
            calls += 1
            #expect(done <= total)
            return false
        }
        #expect(ended.measurements.costs.isEmpty && ended.objection != nil)
        #expect(calls == 1)
    }

    @Test func whatADeviceRefusesIsAGapAndModesAreNotMeasured() throws {
        let clock = TestClock()
        let device = TimedDevice(name: "cpu", clock: clock, refuses: ["conv"])
        let devices: [any Device] = [device, described("cpu:declared", .cpu, changesResults: true)]
        let measured = try Calibration(devices: devices, machine: somewhere, quick: true, clock: clock.clock)
            .run().believed()
        #expect(measured.costs["cpu"]?[.convolution] == nil)
        #expect(measured.costs["cpu"]?[.activation] != nil)
        #expect(measured.gaps.contains { $0.key == "convolution on cpu" && $0.value == "It has no conv." })
        #expect(measured.costs["cpu:declared"] == nil)
    }

    @Test func burstsOfOtherWorkAreOutlasted() throws {
        let clock = TestClock()
        // A third of the time other work makes runs up to 20 times longer, for 0.2 s each time.
        let disturbed = TimedDevice(
            name: "cpu", clock: clock, cost: .init(start: 2e-6, perWork: 4e-13),
            noise: Noise(stretch: 0.2, share: 0.33, worst: 20))
        let calibration = Calibration(devices: [disturbed], machine: somewhere, clock: clock.clock)
        let measured = try calibration.run().believed()
        #expect(near(measured.costs["cpu"]?[.activation]?.start, 2e-6, within: 0.25))
        #expect(near(measured.costs["cpu"]?[.matrixMultiplication]?.perWork, 4e-13, within: 0.25))
    }

    @Test(arguments: [false, true])
    func aBusyMachineIsNotBelieved(_ quick: Bool) throws {
        let clock = TestClock()
        let busy = TimedDevice(
            name: "cpu", clock: clock, cost: .init(start: 2e-6, perWork: 4e-13),
            noise: Noise(stretch: 0.001, share: 0.95, worst: 30))
        let calibration = Calibration(devices: [busy], machine: somewhere, quick: quick, clock: clock.clock)
        let begin = clock.now
        let outcome = calibration.run()
        #expect(outcome.objection?.hasPrefix("the machine is too busy: the rounds of ") == true)
        #expect(outcome.measurements.gaps.values.contains { $0.hasPrefix("Its rounds differ by ") })
        // It tried for as long as it may, and hardly longer.
        let spent = clock.now - begin
        #expect(spent >= calibration.limit && spent < calibration.limit + calibration.limit / 10)
        // Who insists gets what there is.
        let insisting = Calibration(
            devices: [busy], machine: somewhere, quick: quick, tolerance: .infinity, clock: clock.clock)
        #expect(insisting.run().objection == nil)
    }

    @Test func oneUnsteadyOperationIsAGap() throws {
        let clock = TestClock()
        let steady = TimedDevice(name: "cpu", clock: clock, cost: .init(start: 2e-6, perWork: 4e-13))
        let never = TimedDevice(
            name: "cpu:single", clock: clock, cost: .init(start: 2e-6, perWork: 4e-13),
            unsteady: ["relu"], noise: Noise(stretch: 0.001, share: 0.95, worst: 30))
        let measured = try Calibration(devices: [steady, never], machine: somewhere, clock: clock.clock)
            .run().believed()
        #expect(measured.gaps.contains { $0.key.hasPrefix("relu") && $0.key.hasSuffix("on cpu:single") })
        #expect(measured.costs["cpu:single"]?[.elementWise] != nil)
        #expect(measured.costs["cpu"]?[.activation] != nil)
    }

    @Test func theTimeOfAMeasurementIsKept() throws {
        let clock = TestClock()
        let device = TimedDevice(name: "cpu", clock: clock)
        let before = Int(time(nil))
        let made = try Calibration(devices: [device], machine: .this, quick: true, clock: clock.clock).run().believed()
        #expect((before...Int(time(nil))).contains(made.measuredAt))
        try withFolder { folder in
            _ = try made.store(in: folder)
            #expect(Measurements.stored(in: folder).measurements?.measuredAt == made.measuredAt)
        }
    }

    @Test func measurementsOutliveTheProcess() throws {
        try withFolder { folder in
            let kept = Measurements(
                machine: .this, measuredAt: 1_800_000_000,
                costs: ["cpu": [.activation: .init(start: 1.5e-6, perWork: 2.25e-10)]],
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
        "", "{", "null", "[]", "{\"machine\": 1}", withoutTime, "\u{0}\u{1}", "{\"machine\": {}, \"costs\": {}}",
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
