import CHeader
import Martlet

/// A model, and where it came from.
final class ModelObject: Handled {
    static let kind = HandleKind.model

    let model: Model
    let path: String?

    init(_ model: Model, path: String?) {
        self.model = model
        self.path = path
    }
}

@_cdecl("mlt_model_load")
public func mlt_model_load(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ path: UnsafePointer<CChar>?) -> mlt_status {
    status {
        try give(out) {
            let path = try text(path, "path")
            return ModelObject(try Model(contentsOf: path), path: path)
        }
    }
}

@_cdecl("mlt_model_load_with")
public func mlt_model_load_with(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ path: UnsafePointer<CChar>?, _ links: mlt_links
) -> mlt_status {
    status {
        try give(out) {
            let path = try text(path, "path")
            let policies: [SymbolicLinks] = [.follow, .refuse]
            guard policies.indices.contains(Int(links)) else {
                throw Failure(
                    .invalidArgument, "links is \(links); it must be MLT_LINKS_FOLLOW (0) or MLT_LINKS_REFUSE (1).")
            }
            return ModelObject(try Model(contentsOf: path, links: policies[Int(links)]), path: path)
        }
    }
}

@_cdecl("mlt_model_parse")
public func mlt_model_parse(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ text: UnsafePointer<CChar>?) -> mlt_status {
    status {
        try give(out) {
            ModelObject(try Model(Program(text: CInterface.text(text, "text of the program"))), path: nil)
        }
    }
}

@_cdecl("mlt_model_save")
public func mlt_model_save(_ model: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> mlt_status {
    status {
        let path = try text(path, "path")
        try handles.use(model, as: ModelObject.self) { try $0.model.write(to: path) }
    }
}

@_cdecl("mlt_model_info")
public func mlt_model_info(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ model: OpaquePointer?) -> mlt_status {
    status {
        try give(out) { try handles.use(model, as: ModelObject.self) { TextObject(try answer(of: $0).description) } }
    }
}

@_cdecl("mlt_model_text")
public func mlt_model_text(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ model: OpaquePointer?) -> mlt_status {
    status { try give(out) { try handles.use(model, as: ModelObject.self) { TextObject($0.model.program.text) } } }
}
