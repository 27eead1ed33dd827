import Foundation
import MIL
import Testing

@testable import ModelFiles

/// Packages that coremltools made (tests/models/tiny.py), and scratch folders.
enum Fixtures {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "data").path
    static let names = ["layers", "classified", "flexible"]
    static let all = names + ["compressed16", "compressed18"]

    static func package(_ name: String) -> String { folder + "/" + name + ".mlpackage" }

    static func scratch() throws -> String {
        let path = NSTemporaryDirectory() + "martlet-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// A copy of a package that a test may spoil.
    static func copy(_ name: String = "layers") throws -> Spoiled {
        let path = try scratch() + "/model.mlpackage"
        try FileManager.default.copyItem(atPath: package(name), toPath: path)
        return Spoiled(path: path)
    }

    static func expected(_ name: String) throws -> JSON {
        let text = try String(contentsOfFile: folder + "/expected.json", encoding: .utf8)
        return try #require(JSON(parsing: text)[name])
    }
}

struct Spoiled {
    let path: String
    var manifest: String { path + "/Manifest.json" }
    var model: String { path + "/Data/com.apple.CoreML/model.mlmodel" }
    var weights: String { path + "/Data/com.apple.CoreML/weights/weight.bin" }

    func write(_ bytes: [UInt8], to file: String) throws { try Data(bytes).write(to: URL(filePath: file)) }
    func write(_ text: String, to file: String) throws { try write(Array(text.utf8), to: file) }
    func bytes(_ file: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: file))) }

    func change(_ file: String, _ body: (inout [UInt8]) throws -> Void) throws {
        var content = try bytes(file)
        try body(&content)
        try write(content, to: file)
    }

    /// Reads the package and returns why that fails.
    func failure(_ location: SourceLocation = #_sourceLocation) throws -> Failure {
        try refusal(location) { _ = try readModel(at: path) }
    }
}

func refusal(_ location: SourceLocation = #_sourceLocation, _ body: () throws -> Void) throws -> Failure {
    try #require(throws: Failure.self, sourceLocation: location) { try body() }
}

/// Reads a description from bytes, without any weight files.
func readDescription(_ bytes: [UInt8]) throws -> Model {
    try bytes.withUnsafeBytes { bytes in
        try SpecReader.model(bytes) { throw Failure(.notFound, "There is no weight file '\($0)'.") }
    }
}

/// A description with one function `main`, whose message the test writes itself.
func description(
    inputs: [Feature] = [], outputs: [Feature] = [], kind: Int = 502, _ function: (inout ProtobufWriter) -> Void
) throws -> [UInt8] {
    var writer = ProtobufWriter()
    writer.int(1, 8)
    var interface = Interface()
    interface.inputs = inputs
    interface.outputs = outputs
    let model = Model(program: Program(functions: []), interfaces: [interface])
    try writer.message(2) { try $0.description(model) }
    writer.message(kind) { program in
        program.int(1, 1)
        program.entry(2, "main", function)
    }
    return writer.bytes
}

/// A repeatable source of numbers.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
