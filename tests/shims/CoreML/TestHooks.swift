import Foundation

// What tests call straight, without an engine in between. The answer goes into the buffer.

/// Compiles the package at a path: 0 and the path of the compiled model, or 1 and the words of the error.
@_spi(Shim) @_cdecl("shim_coreml_compile")
public func shimCoreMLCompile(
    _ path: UnsafePointer<CChar>, _ answer: UnsafeMutablePointer<CChar>, _ capacity: Int
) -> Int32 {
    say(answer, capacity) { try ModelCompiler.compile(URL(fileURLWithPath: String(cString: path))).path }
}

/// Opens the compiled model at a path and lets it go: 0 and the names of its outputs, or 1 and the words of the error.
@_spi(Shim) @_cdecl("shim_coreml_load")
public func shimCoreMLLoad(
    _ path: UnsafePointer<CChar>, _ answer: UnsafeMutablePointer<CChar>, _ capacity: Int
) -> Int32 {
    say(answer, capacity) {
        let model = try MLModel(contentsOf: URL(fileURLWithPath: String(cString: path)))
        return model.modelDescription.outputDescriptionsByName.keys.sorted().joined(separator: " ")
    }
}

private func say(
    _ answer: UnsafeMutablePointer<CChar>, _ capacity: Int, _ body: () throws -> String
) -> Int32 {
    func copy(_ words: String) {
        words.withCString { _ = strncpy(answer, $0, capacity - 1) }
        answer[capacity - 1] = 0
    }
    do {
        copy(try body())
        return 0
    } catch {
        copy((error as NSError).localizedDescription)
        return 1
    }
}
