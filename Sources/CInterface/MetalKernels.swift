// Kernels in the Metal Shading Language: what the declaration of a custom op says of them.

import CHeader
import MSL
import Martlet
import ModelFiles

@_cdecl("mlt_metal_functions")
public func mlt_metal_functions(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ source: UnsafePointer<CChar>?)
    -> mlt_status
{
    status {
        let library = try KernelLibrary(source: text(source, "source"))
        let functions = library.functionNames.compactMap { library.function(named: $0)?.answer }
        try give(out) { TextObject(JSON.array(functions).description) }
    }
}

extension KernelFunction {
    fileprivate var answer: JSON {
        [
            "name": .string(name), "arguments": .array(arguments.map(\.answer)),
            "max_threads": .integer(maxTotalThreadsPerThreadgroup), "memory": .integer(staticThreadgroupMemoryLength),
        ]
    }
}

extension KernelFunction.Argument {
    fileprivate var answer: JSON {
        let (kind, isConst): (String, Bool)
        switch self.kind {
        case .buffer(_, let const): (kind, isConst) = ("buffer", const)
        case .threadgroup: (kind, isConst) = ("threadgroup", false)
        }
        return [
            "name": .string(name), "kind": .string(kind), "index": .integer(index),
            "dtype": .text(elementType?.name), "const": .bool(isConst),
        ]
    }
}

extension MetalKernel {
    /// The member "metal" of a declaration; see martlet.h.
    init(_ json: JSON, op: String, parameters: [Op.Parameter], outputs: Int) throws {
        let fields = try Fields(json, "The Metal kernel of '\(op)'")
        try fields.only(
            ["source", "function", "grid", "grid_counts", "threadgroup", "memory", "buffers", "outputs"])
        let names = try fields.names("outputs") ?? MetalKernel.names(outputs)
        let counted = try fields.optionalText("grid_counts") ?? "threads"
        guard ["threads", "threadgroups"].contains(counted) else {
            throw Failure(.malformed, "\"grid_counts\" is \"threads\" or \"threadgroups\", not \"\(counted)\".")
        }
        let memory = json["memory"] == nil ? [] : try fields.list("memory").map { try Extent($0) }
        let standard =
            parameters.filter { !$0.isConstant }.map { Buffer.input($0.name) }
            + (0..<outputs).map(Buffer.output) + parameters.filter(\.isConstant).map { .input($0.name) }
        try self.init(
            source: try fields.text("source"), function: try fields.optionalText("function") ?? op,
            buffers: json["buffers"] == nil ? standard : try fields.list("buffers").map { try Buffer($0, names) },
            outputNames: names, grid: try fields.list("grid").map { try Extent($0) },
            threadgroup: try fields.list("threadgroup").map { try Extent($0) }, countsThreads: counted == "threads",
            memory: Dictionary(uniqueKeysWithValues: memory.enumerated().map { ($0, $1) }))
    }

    private static func names(_ outputs: Int) -> [String] {
        outputs == 1 ? ["out"] : (0..<outputs).map { "out\($0)" }
    }

    /// What a kernel is, as mlt_ops tells it.
    var answer: JSON {
        [
            "source": .string(source), "function": .string(function), "grid": .array(grid.map(\.answer)),
            "grid_counts": .string(countsThreads ? "threads" : "threadgroups"),
            "threadgroup": .array(threadgroup.map(\.answer)),
            "memory": .array(memory.sorted { $0.key < $1.key }.map(\.value.answer)),
            "buffers": .array(
                buffers.map {
                    switch $0 {
                    case .input(let name): .string(name)
                    case .output(let number): .string(outputNames[number])
                    case .size(let name, let extent): .object([JSON.Member(name, extent.answer)])
                    }
                }), "outputs": .array(outputNames.map(JSON.string)),
        ]
    }
}

extension MetalKernel.Buffer {
    /// A name of a parameter or an output, or an object of one member: a name and its extent.
    fileprivate init(_ json: JSON, _ outputs: [String]) throws {
        if let name = json.string {
            self = outputs.firstIndex(of: name).map { .output($0) } ?? .input(name)
        } else if let member = json.members?.first, json.members?.count == 1 {
            self = .size(member.name, try Extent(member.value))
        } else {
            throw Failure(.malformed, "A buffer is the name of a parameter or output, or {name: extent}, not \(json).")
        }
    }
}

extension Extent {
    /// An integer or an expression.
    init(_ json: JSON) throws {
        switch json {
        case .integer(let number): self.init(number)
        case .string(let text): try self.init(parsing: text)
        default: throw Failure(.malformed, "A size is an integer or an expression such as \"x.size\", not \(json).")
        }
    }

    fileprivate var answer: JSON { Int(text).map { .integer($0) } ?? .string(text) }
}

extension Fields {
    fileprivate func names(_ name: String) throws -> [String]? {
        guard has(name) else { return nil }
        return try list(name).map {
            guard let text = $0.string else { throw Failure(.malformed, "\"\(name)\" must be a list of names.") }
            return text
        }
    }
}
