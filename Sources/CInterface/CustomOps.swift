// Ops that callers add: their declaration in JSON, and callbacks in C.

import CHeader
import Martlet
import ModelFiles

public typealias mlt_custom_run_function =
    @convention(c) (
        UnsafeMutableRawPointer?, UnsafeMutablePointer<mlt_view>?, Int32, UnsafePointer<mlt_view>?, Int32,
        UnsafeMutablePointer<CChar>?, Int
    ) -> Int32
public typealias mlt_custom_infer_function =
    @convention(c) (
        UnsafeMutableRawPointer?, UnsafeMutablePointer<mlt_type>?, Int32, UnsafePointer<mlt_view>?, Int32,
        UnsafeMutablePointer<CChar>?, Int
    ) -> Int32

@_cdecl("mlt_custom_op")
public func mlt_custom_op(
    _ declaration: UnsafePointer<CChar>?, _ infer: mlt_custom_infer_function?, _ run: mlt_custom_run_function?,
    _ context: UnsafeMutableRawPointer?, _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
) -> mlt_status {
    status {
        let declaration = try Declaration(JSON(parsing: text(declaration, "declaration of the op")))
        let owner = CallbackOwner(context, release)
        try OpTable.register(declaration.op(infer, run, owner))
        owner.begin()
    }
}

@_cdecl("mlt_custom_op_remove")
public func mlt_custom_op_remove(_ name: UnsafePointer<CChar>?) -> mlt_status {
    status { try OpTable.unregister(text(name, "name of the op")) }
}

/// The caller's context, given back once, and only if the op came to be.
private final class CallbackOwner: @unchecked Sendable {
    let context: UnsafeMutableRawPointer?
    private let release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
    /// Written by the registering thread; the last use of the op comes later.
    private var isRunning = false

    init(_ context: UnsafeMutableRawPointer?, _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?) {
        self.context = context
        self.release = release
    }

    func begin() { isRunning = true }
    deinit { if isRunning { release?(context) } }
}

// MARK: Declarations

/// What a declaration says, checked.
private struct Declaration {
    let name: String
    private let words: String
    private let parameters: [Op.Parameter]
    /// Rules for the outputs' types, or only how many there are.
    private let outputs: [CustomOp.Output]
    private let outputCount: Int
    private let isInferred: Bool
    private let metal: MetalKernel?
    private let isPure: Bool

    init(_ json: JSON) throws {
        let fields = try Fields(json, "The declaration")
        name = try fields.text("name")
        let described = try Fields(json, "The declaration of '\(name)'")
        try described.only(["name", "words", "parameters", "outputs", "pure", "metal"])
        words = try described.optionalText("words") ?? "A custom op."
        parameters = try described.list("parameters").map(Declaration.parameter)
        isPure = try described.truth("pure")
        isInferred = json["outputs"]?.integer != nil
        if let count = json["outputs"]?.integer {
            guard (1...64).contains(count) else {
                throw Failure(.invalidArgument, "The op '\(name)' cannot have \(count) outputs; it may have 1 to 64.")
            }
            (outputs, outputCount) = ([], count)
        } else {
            let first = parameters.first { !$0.isConstant } ?? parameters.first
            outputs = try described.list("outputs").map { try Declaration.output($0, like: first?.name) }
            outputCount = outputs.count
        }
        guard outputCount > 0 else { throw Failure(.invalidArgument, "The op '\(name)' has no outputs.") }
        metal = try Declaration.metal(json["metal"], name, parameters, outputCount)
    }

    func op(_ infer: mlt_custom_infer_function?, _ run: mlt_custom_run_function?, _ owner: CallbackOwner) throws -> Op {
        guard run != nil || metal != nil else {
            throw Failure(
                .invalidArgument, "The op '\(name)' has neither a callback nor a Metal kernel: nothing could run it.")
        }
        guard (infer != nil) == isInferred else {
            let wanted = isInferred ? "needs 'infer', since" : "takes no 'infer' unless"
            throw Failure(.invalidArgument, "The op '\(name)' \(wanted) its \"outputs\" are a number.")
        }
        let custom = custom(run, owner)
        guard let infer else { return try Op(name, words, parameters, outputs: outputs, custom: custom) }
        let count = outputCount
        return Op(name, .custom, words, parameters, custom: custom) { try types(infer, owner, count, $0) }
    }

    /// A callback, with a kernel for Metal or without; or the kernel alone, which then runs on the CPU, too.
    private func custom(_ run: mlt_custom_run_function?, _ owner: CallbackOwner) -> CustomOp {
        if run == nil, let metal { return CustomOp(kernel: metal, parameters: parameters, isPure: isPure) }
        return CustomOp(run: run.map { callback($0, owner) }, metal: metal, isPure: isPure)
    }

    private static func metal(_ json: JSON?, _ name: String, _ parameters: [Op.Parameter], _ outputs: Int) throws
        -> MetalKernel?
    {
        guard let json, json != .null else { return nil }
        let kernel = try MetalKernel(json, op: name, parameters: parameters, outputs: outputs)
        try kernel.check(parameters, outputs: outputs)
        return kernel
    }

    private static func parameter(_ json: JSON) throws -> Op.Parameter {
        let fields = try Fields(json, "A parameter")
        let name = try fields.text("name")
        try fields.only(["name", "words", "dtypes", "constant", "list", "default"])
        let words = try fields.optionalText("words") ?? "A parameter."
        let dtypes = try fields.list("dtypes").map(dtype)
        let (isConstant, isList) = (try fields.truth("constant"), try fields.truth("list"))
        guard isConstant || json["default"] == nil, !(isConstant && isList) else {
            throw Failure(
                .invalidArgument, "The parameter '\(name)' may have a default only as a constant, and none as a list.")
        }
        guard isConstant || !dtypes.contains(.string) else {
            throw Failure(.wrongType, "The parameter '\(name)' is a string: only constants can be.")
        }
        if isList { return .list(name, words, Set(dtypes)) }
        guard isConstant else { return .tensor(name, words, Set(dtypes)) }
        return .constant(name, words, Set(dtypes), default: try json["default"].map { try tensor($0, dtypes, name) })
    }

    private static func output(_ json: JSON, like first: String?) throws -> CustomOp.Output {
        let fields = try Fields(json, "An output")
        try fields.only(["dtype", "shape"])
        let dtype: CustomOp.Output.ElementType
        if let name = json["dtype"]?["like"]?.string ?? (json["dtype"] == nil ? first : nil) {
            dtype = .like(name)
        } else {
            dtype = .fixed(try Declaration.dtype(json["dtype"] ?? .null))
        }
        switch json["shape"] {
        case nil, .string("broadcast")?: return CustomOp.Output(dtype, .broadcast)
        case .array(let sizes)?:
            guard sizes.allSatisfy({ $0.string == nil }) else {
                return CustomOp.Output(dtype, .computed(try sizes.map { try Extent($0) }))
            }
            let shape = sizes.compactMap(\.integer)
            guard shape.count == sizes.count, shape.count <= 64, shape.allSatisfy({ $0 >= 0 }) else {
                throw Failure(.invalidArgument, "The shape of an output must be up to 64 sizes of 0 or more.")
            }
            _ = try TensorType(.complex128, shape).checkedByteCount()
            return CustomOp.Output(dtype, .fixed(shape))
        case let other?:
            guard let name = other["like"]?.string else {
                throw Failure(
                    .invalidArgument, "The shape of an output is sizes, {\"like\": parameter} or \"broadcast\".")
            }
            return CustomOp.Output(dtype, .like(name))
        }
    }

    private static func dtype(_ json: JSON) throws -> DataType {
        guard let name = json.string, let dtype = DataType(name: name) else {
            let names = DataType.allCases.map(\.name).joined(separator: ", ")
            throw Failure(.wrongType, "There is no element type \(json); there are \(names).")
        }
        return dtype
    }

    /// A default: one element or a list of them, in the first dtype that holds it.
    private static func tensor(_ json: JSON, _ dtypes: [DataType], _ name: String) throws -> Tensor {
        var (elements, shape): ([JSON], [Int]) = ([json], [])
        if case .array(let list) = json { (elements, shape) = (list, [list.count]) }
        for dtype in dtypes {
            if dtype == .string, let texts = elements.all(\.string) { return Tensor(strings: texts, shape: shape) }
            if dtype != .string, let numbers = elements.all({ $0.element(dtype) }) {
                return Tensor(numbers, dtype: dtype, shape: shape)
            }
        }
        throw Failure(.wrongType, "The default \(json) of '\(name)' is none of its dtypes.")
    }
}

extension Array where Element == JSON {
    /// Every element read in one way, or nil where one cannot be.
    fileprivate func all<Value>(_ read: (JSON) -> Value?) -> [Value]? {
        let values = compactMap(read)
        return values.count == count ? values : nil
    }
}

extension JSON {
    fileprivate var integer: Int? { if case .integer(let value) = self { value } else { nil } }

    /// The number that an element of this type holds; nil where it cannot hold this value.
    fileprivate func element(_ dtype: DataType) -> Double? {
        switch self {
        case .bool(let value): return dtype == .bool ? (value ? 1 : 0) : nil
        case .number(let value): return dtype.isFloat || dtype.isComplex ? value : nil
        // Doubles count exactly up to here.
        case .integer(let value) where value.magnitude < 1 << 53:
            guard dtype.isInteger else { return dtype == .bool ? nil : Double(value) }
            let isSigned = [.int8, .int16, .int32, .int64].contains(dtype)
            let limit = Double(sign: .plus, exponent: dtype.size * 8 - (isSigned ? 1 : 0), significand: 1)
            return Double(value) < limit && Double(value) >= (isSigned ? -limit : 0) ? Double(value) : nil
        default: return nil
        }
    }
}

/// The members of an object, asked for by name and kind.
struct Fields {
    private let json: JSON
    private let what: String

    init(_ json: JSON, _ what: String) throws {
        guard json.members != nil else { throw Failure(.malformed, "\(what) must be a JSON object.") }
        self.json = json
        self.what = what
    }

    func only(_ names: [String]) throws {
        for member in json.members ?? [] where !names.contains(member.name) {
            throw Failure(
                .malformed, "\(what) has no member \"\(member.name)\"; it may have \(names.joined(separator: ", ")).")
        }
    }

    func has(_ name: String) -> Bool { json[name] != nil }

    func text(_ name: String) throws -> String {
        guard let text = try optionalText(name) else { throw Failure(.malformed, "\(what) lacks \"\(name)\".") }
        return text
    }

    func optionalText(_ name: String) throws -> String? {
        switch json[name] {
        case nil, .null?: return nil
        case .string(let text)?: return text
        default: throw Failure(.malformed, "\(what) needs a text as \"\(name)\".")
        }
    }

    func list(_ name: String) throws -> [JSON] {
        guard case .array(let elements)? = json[name] else {
            throw Failure(.malformed, "\(what) needs a list as \"\(name)\".")
        }
        return elements
    }

    func truth(_ name: String) throws -> Bool {
        switch json[name] {
        case nil: return false
        case .bool(let value)?: return value
        default: throw Failure(.malformed, "\(what) needs true or false as \"\(name)\".")
        }
    }
}

// MARK: Calling back

private func callback(_ run: mlt_custom_run_function, _ owner: CallbackOwner) -> CustomOp.Run {
    { outputs, inputs in
        let (results, values) = (Views(outputs), Views(inputs))
        try called {
            run(owner.context, results.views, Int32(outputs.count), values.views, Int32(inputs.count), $0, $1)
        }
        withExtendedLifetime((results, values)) {}
    }
}

/// The output types that a callback answers.
private func types(_ infer: mlt_custom_infer_function, _ owner: CallbackOwner, _ count: Int, _ call: Call) throws
    -> [TensorType]
{
    let inputs = try call.op.parameters.flatMap { parameter -> [(TensorType, Tensor?)] in
        guard let ids = call.operation[parameter.name] else {
            return parameter.defaultValue.map { [($0.type, $0)] } ?? []
        }
        return try ids.map { (try call.function.tensorType($0), call.function[$0].constant) }
    }
    let values = Views(
        inputs.map { CustomOp.Elements($1?.type ?? $0, $1?.pointer ?? nothing, strings: $1?.strings ?? []) })
    for (index, input) in inputs.enumerated() where input.1 == nil { values.hideData(index) }
    let results = UnsafeMutablePointer<mlt_type>.allocate(capacity: count)
    results.initialize(repeating: mlt_type(), count: count)
    defer { results.deallocate() }
    // A dtype that is not written is told from one that is.
    for index in 0..<count { results[index].dtype = -1 }
    try called { infer(owner.context, results, Int32(count), values.views, Int32(inputs.count), $0, $1) }
    withExtendedLifetime((inputs, values)) {}
    return try (0..<count).map { index in
        try withUnsafePointer(to: &results[index].shape) { shape in
            try shape.withMemoryRebound(to: Int64.self, capacity: 64) {
                try tensorType(results[index].dtype, results[index].rank, $0)
            }
        }
    }
}

/// Calls back with room for a message, and throws it where the answer is not 0.
private func called(_ body: (UnsafeMutablePointer<CChar>, Int) -> Int32) throws {
    try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 2048) { message in
        guard let start = message.baseAddress else { return }
        message.initialize(repeating: 0)
        let answer = body(start, message.count)
        guard answer != 0 else { return }
        let bytes = message.dropLast().prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let text = String(decoding: bytes, as: UTF8.self)
        throw Failure(.callback, text.isEmpty ? "The callback answered \(answer)." : text)
    }
}

private nonisolated(unsafe) let nothing = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)

/// Values in C's form, for one call.
private final class Views {
    let views: UnsafeMutablePointer<mlt_view>
    private let count: Int
    private let sizes: UnsafeMutablePointer<Int64>
    private var texts: [UnsafeMutablePointer<UnsafePointer<CChar>?>] = []
    private var allChars: [UnsafeMutablePointer<CChar>] = []

    init(_ values: [CustomOp.Elements]) {
        count = values.count
        views = .allocate(capacity: max(count, 1))
        sizes = .allocate(capacity: max(values.reduce(0) { $0 + $1.type.rank }, 1))
        var next = 0
        for (index, value) in values.enumerated() {
            let shape = sizes + next
            for size in value.type.shape {
                sizes[next] = Int64(size)
                next += 1
            }
            var (data, bytes) = (UnsafeRawPointer(value.pointer), value.type.byteCount)
            if value.type.dtype == .string { (data, bytes) = keep(value.strings) }
            views[index] = mlt_view(
                dtype: mlt_dtype(value.type.dtype.rawValue), rank: Int32(value.type.rank), shape: shape, data: data,
                bytes: bytes)
        }
    }

    /// Says that a value's elements are not known.
    func hideData(_ index: Int) { views[index].data = nil }

    private func keep(_ strings: [String]) -> (UnsafeRawPointer, Int) {
        let array = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: max(strings.count, 1))
        for (index, string) in strings.enumerated() {
            allChars.append(chars(string))
            array[index] = UnsafePointer(allChars[allChars.count - 1])
        }
        texts.append(array)
        return (UnsafeRawPointer(array), strings.count * MemoryLayout<UnsafePointer<CChar>?>.stride)
    }

    deinit {
        for each in allChars { each.deallocate() }
        for each in texts { each.deallocate() }
        sizes.deallocate()
        views.deallocate()
    }
}
