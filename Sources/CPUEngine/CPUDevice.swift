import CKernels
import MIL
import Passes
import Runtime

/// The processor as a device. Numeric modes and kernel choices are devices of their own, so that a test can name them.
public struct CPUDevice: Device {
    public let name: String
    public let summary: String
    public let kind = DeviceKind.cpu
    public var availability: Availability { .available }
    public var memoryLimit: Int? { CPUInfo.memory }
    public var computeUnits: Int? { threads ?? CPUInfo.processors }
    public var changesResults: Bool { rounds }
    public var keepsDeclaredIntegers: Bool { rounds }
    private let rounds: Bool
    private let usesOneDNN: Bool
    /// Threads of a run; nil takes the process's number.
    private var threads: Int?

    /// fp32 throughout, also where the program says fp16: the most accurate and, so far, the fastest. Models hold integers as
    /// int32 where the program narrows them only to move them.
    public static let reference = CPUDevice(
        name: "cpu", words: "fp32 and int32 throughout", rounds: false, usesOneDNN: true)
    /// Rounds to fp16 after every operation whose result the program declares as fp16.
    public static let declared = CPUDevice(
        name: "cpu:declared", words: "rounded to fp16 and cut to int16 where the program says so", rounds: true,
        usesOneDNN: true)
    /// Without oneDNN: every kernel is Martlet's own.
    public static let portable = CPUDevice(
        name: "cpu:portable", words: "own kernels only", rounds: false, usesOneDNN: false)

    /// One thread, whatever the process's number: small work is done before others would have begun.
    public static let single = CPUDevice(
        name: "cpu:single", words: "one thread", rounds: false, usesOneDNN: true, threads: 1)

    public static let all: [any Device] = [reference, declared, portable, single]

    private init(name: String, words: String, rounds: Bool, usesOneDNN: Bool, threads: Int? = nil) {
        self.name = name
        summary = "\(CPUInfo.isa), \(CPUInfo.processors) processors, \(words)"
        self.rounds = rounds
        self.threads = threads
        self.usesOneDNN = usesOneDNN && CPUInfo.oneDNN != nil
    }

    public func limited(toThreads count: Int) -> any Device {
        var device = self
        device.threads = min(count, threads ?? count)
        return device
    }

    public func assess(_ call: Call) -> Verdict {
        let kernel = CPUKernels[call.op.name]
        let refusal = kernel?.refusal(of: call)
        if kernel != nil, refusal == nil { return .native }
        if call.op.expansion != nil { return .expands }
        return .refused(reason: refusal ?? "the CPU engine has no kernel for '\(call.op.name)'")
    }

    public func compile(_ function: Function) throws -> any Executable {
        let ready = try prepared(function)
        try refuseUnknown(ready)
        return try executable(ready, usesOneDNN: usesOneDNN)
    }

    private func executable(_ function: Function, usesOneDNN: Bool) throws -> CPUExecutable {
        var ready = function
        let customs = OpTable.customOps(in: function)
        let rounded = try ready.widenHalf(rounding: rounds, around: Set(customs.keys))
        return try CPUExecutable(device: name, threads: threads) { [ready] threads in
            Threads.take(threads)
            return try Lowerer(ready, usesOneDNN: usesOneDNN, rounded: rounded, customs: customs).lower()
        }
    }

    /// The function after all passes: expanded, folded, fused.
    private func prepared(_ function: Function) throws -> Function {
        var function = function
        try function.expand { !CPUKernels.run($0, in: $1) }
        try function.foldConstants { try evaluate($0) }
        function.removeDead()
        return function
    }

    /// Fails with all the ops that no kernel runs, how often each stands there and where first.
    private func refuseUnknown(_ function: Function) throws {
        let unknown = function.operations.filter { CPUKernels[$0.op] == nil }
        guard !unknown.isEmpty else { return }
        var counts: [(op: String, count: Int, first: String)] = []
        for operation in unknown {
            if let index = counts.firstIndex(where: { $0.op == operation.op }) {
                counts[index].count += 1
            } else {
                counts.append((operation.op, 1, operation.outputs.first.map { function[$0].name } ?? ""))
            }
        }
        let places = counts.map { op, count, first in
            "'\(op)' (\(count) times, first '\(first)' of function '\(function.name)')"
        }
        throw Failure(.unsupported, "The CPU engine has no kernels for these ops: \(places.joined(separator: ", ")).")
    }

    /// One operation on constants, run as a program of one line.
    private func evaluate(_ call: Call) throws -> [Tensor] {
        try executable(call.alone(), usesOneDNN: false).run([])
    }
}

/// What the engine knows of this processor.
public enum CPUInfo {
    /// The instruction set the kernels chose: `avx512`, `avx2`, `neon` or `baseline`.
    public static let isa = String(cString: mk_isa_name())
    public static var processors: Int { Int(mk_processors()) }
    /// The processor's own name, such as `Apple M2`; empty where the system does not tell.
    public static let model: String = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { name in
        guard let start = name.baseAddress else { return "" }
        mk_processor_name(start, name.count)
        return String(cString: start)
    }
    /// Bytes of memory of the machine, or of the container where that has less; nil where the system does not tell.
    public static var memory: Int? {
        let bytes = mk_physical_memory()
        return bytes > 0 ? Int(clamping: bytes) : nil
    }
    /// oneDNN's version, or nil where the engine was built without it.
    public static let oneDNN: String? = {
        #if ONEDNN
            guard DNNLEngine.shared != nil else { return nil }
            return DNNLEngine.version
        #else
            return nil
        #endif
    }()
}
