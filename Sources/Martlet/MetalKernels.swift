import CPUEngine
import MSL
import Synchronization

/// A custom op whose work is a kernel in the Metal Shading Language: Metal runs it where there is a GPU of Apple's, else the
/// CPU does, by clang. `OpTable.register` makes it part of the language.
///
/// The kernel's outputs are zeros when it begins. Its inputs must be `const`: tensors never change.
///
/// - Parameters:
///   - name: the op's name in MIL text.
///   - parameters: tensors, and constants that are bound by value.
///   - outputs: rules for the outputs' types; by default one of the first parameter's type and the shape all broadcast to.
///   - isPure: whether the same inputs always give the same outputs.
///
/// Throws `invalidArgument` where the kernel does not fit the parameters and outputs. What is wrong with the source comes
/// out when the op first runs, or from `KernelLibrary`.
public func metalKernel(
    _ name: String, _ words: String = "A Metal kernel.", _ parameters: [Op.Parameter], outputs: [CustomOp.Output],
    kernel: MetalKernel, isPure: Bool = true
) throws -> Op {
    try Op(
        name, words, parameters, outputs: outputs,
        custom: CustomOp(kernel: kernel, parameters: parameters, isPure: isPure))
}

extension CustomOp {
    /// A kernel as the work on the CPU, too. It is compiled when it first runs.
    public convenience init(kernel: MetalKernel, parameters: [Op.Parameter], isPure: Bool) {
        let runner = KernelRunner(kernel, parameters)
        self.init(run: { try runner.run($0, $1) }, metal: kernel, isPure: isPure, runsKernel: true)
    }
}

/// Runs a Metal kernel on the CPU.
private final class KernelRunner: Sendable {
    private let kernel: MetalKernel
    private let parameters: [Op.Parameter]
    private let compiled = Mutex<KernelFunction?>(nil)

    init(_ kernel: MetalKernel, _ parameters: [Op.Parameter]) {
        self.kernel = kernel
        self.parameters = parameters
    }

    func run(_ outputs: [CustomOp.Elements], _ inputs: [CustomOp.Elements]) throws {
        let function = try compiled.withLock { held in
            if let function = held { return function }
            let function = try compile()
            held = function
            return function
        }
        for output in outputs {
            output.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: output.type.byteCount)
        }
        let launch = try kernel.launch(outputs.map(\.type), in: scope(inputs))
        guard !launch.isEmpty else { return }
        try bind(function, launch, outputs, inputs)
    }

    private func wrong(_ kind: Failure.Kind, _ what: String) -> Failure {
        Failure(kind, "The kernel '\(kernel.function)': \(what).")
    }

    private func compile() throws -> KernelFunction {
        let library = try KernelLibrary(source: kernel.source)
        guard let function = library.function(named: kernel.function) else {
            let names = library.functionNames.joined(separator: ", ")
            throw wrong(.notFound, "the source has no kernel of this name; it has \(names.isEmpty ? "none" : names)")
        }
        for argument in function.arguments { try check(argument) }
        return function
    }

    /// Refuses arguments that nothing is bound to, and inputs that could be written.
    private func check(_ argument: KernelFunction.Argument) throws {
        guard case .buffer(_, let isConst) = argument.kind else {
            guard kernel.memory[argument.index] == nil else { return }
            throw wrong(
                .invalidArgument,
                "'\(argument.name)' is [[threadgroup(\(argument.index))]], and no size of it is given in 'memory'")
        }
        guard kernel.buffers.indices.contains(argument.index) else {
            throw wrong(
                .invalidArgument,
                "'\(argument.name)' is [[buffer(\(argument.index))]], and the op has \(kernel.buffers.count) buffers, "
                    + "counted from 0: inputs, outputs, constants")
        }
        switch kernel.buffers[argument.index] {
        case .output(let number) where isConst:
            throw wrong(
                .invalidArgument,
                "[[buffer(\(argument.index))]] is the output '\(kernel.outputNames[number])'; '\(argument.name)' must "
                    + "not be const")
        case .input(let name) where !isConst:
            throw wrong(
                .invalidArgument,
                "[[buffer(\(argument.index))]] is the input '\(name)'; '\(argument.name)' must be const, since inputs "
                    + "never change")
        default: break
        }
    }

    private func scope(_ inputs: [CustomOp.Elements]) -> Extent.Scope {
        var scope = Extent.Scope()
        for (parameter, value) in zip(parameters, inputs) {
            scope.types[parameter.name] = value.type
            guard parameter.isConstant, value.type.count == 1, value.type.dtype == .int32 || value.type.dtype == .int64
            else { continue }
            scope.integers[parameter.name] =
                value.type.dtype == .int32
                ? Int(value.pointer.load(as: Int32.self)) : Int(value.pointer.load(as: Int64.self))
        }
        return scope
    }

    private func bind(
        _ function: KernelFunction, _ launch: MetalKernel.Launch, _ outputs: [CustomOp.Elements],
        _ inputs: [CustomOp.Elements]
    ) throws {
        let named = Dictionary(zip(parameters.map(\.name), inputs), uniquingKeysWith: { first, _ in first })
        let sizes = UnsafeMutablePointer<UInt32>.allocate(capacity: max(kernel.buffers.count, 1))
        defer { sizes.deallocate() }
        var buffers: [Int: UnsafeMutableRawPointer] = [:]
        var types: [Int: DataType] = [:]
        for (index, buffer) in kernel.buffers.enumerated() {
            switch buffer {
            case .input(let name): (buffers[index], types[index]) = (named[name]?.pointer, named[name]?.type.dtype)
            case .output(let number):
                (buffers[index], types[index]) = (outputs[number].pointer, outputs[number].type.dtype)
            case .size:
                sizes[index] = launch.sizes[index] ?? 0
                (buffers[index], types[index]) = (UnsafeMutableRawPointer(sizes + index), .uint32)
            }
        }
        for argument in function.arguments {
            guard case .buffer = argument.kind, let wanted = argument.elementType, let given = types[argument.index],
                !KernelRunner.fits(given, wanted)
            else { continue }
            throw wrong(
                .wrongType,
                "'\(argument.name)' holds \(wanted.name), and what is bound to [[buffer(\(argument.index))]] is "
                    + "\(given.name)\(given == .float64 ? ", which Metal does not have" : "")")
        }
        try function.run(
            grid: launch.grid, countsThreads: launch.countsThreads, threadgroup: launch.threadgroup, buffers: buffers,
            threadgroupMemory: launch.memory, concurrency: Threads.count)
    }

    /// Whether elements of a tensor are what a kernel reads: complex numbers are two floats, signs do not matter to sizes, and
    /// `char` is what kernels call bytes of any kind.
    private static func fits(_ given: DataType, _ wanted: DataType) -> Bool {
        let same: Set<Set<DataType>> = [
            [.complex64, .float32], [.int32, .uint32], [.bool, .uint8], [.int8, .uint8],
        ]
        return given == wanted || wanted == .int8 && given != .float64 || same.contains([given, wanted])
    }
}
